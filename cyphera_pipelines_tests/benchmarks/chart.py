"""The bar chart for the README, as SVG: what a row costs, and how close to Stripe's limits a first load comes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.report import plain_number

WIDTH, LABELS, BAR, GAP, HEADING = 900, 250, 26, 12, 44
_STYLE = """
.heading { font-weight: 600; fill: #1d2740; } .label { fill: #1d2740; } .note { fill: #56617a; font-size: 12px; }
.client { fill: #5b7fd4; } .server { fill: #5fae7d; } .floor { fill: #c5ccdb; }
"""


@dataclass(frozen=True)
class Bar:
    """A labelled bar of one or more parts, each with the class that colours it."""

    label: str
    parts: Sequence[tuple[float, str]]

    @property
    def length(self) -> float:
        """All parts together."""
        return sum(value for value, _ in self.parts)


def draw(results: Mapping[str, Result]) -> str:
    """Return the chart of those scenarios that ran."""
    groups = [group for group in (_cost_of_a_row(results), _at_live_limits(results)) if group[1]]
    height = sum(HEADING + len(bars) * (BAR + GAP) for _, bars in groups) + GAP
    attributes = {"viewBox": f"0 0 {WIDTH} {height}", "font-family": "system-ui, sans-serif", "font-size": "14"}
    svg = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **attributes})
    ElementTree.SubElement(svg, "style").text = _STYLE
    ElementTree.SubElement(svg, "rect", {"width": str(WIDTH), "height": str(height), "fill": "#ffffff"})
    top = 0
    for heading, bars in groups:
        _text(svg, heading, 20, top + 30, "heading")
        top += HEADING
        longest = max(bar.length for bar in bars)
        for bar in bars:
            _draw_bar(svg, bar, top, longest)
            top += BAR + GAP
    ElementTree.indent(svg)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def _cost_of_a_row(results: Mapping[str, Result]) -> tuple[str, list[Bar]]:
    names = {"sdk_baseline": "stripe package, page by page", "first_load": "Cyphera Pipelines"}
    bars = [
        Bar(
            label,
            [
                (results[name].value("client CPU per row"), "client"),
                (results[name].value("Postgres CPU per row"), "server"),
            ],
        )
        for name, label in names.items()
        if name in results
    ]
    return "CPU per row in microseconds: client (blue) and Postgres (green)", bars


def _at_live_limits(results: Mapping[str, Result]) -> tuple[str, list[Bar]]:
    heading, result = "First load at 100 ms latency and Stripe's live limits, in seconds", results.get("live_limits")
    if result is None:
        return heading, []
    return heading, [
        Bar("what the limits allow", [(result.value("floor"), "floor")]),
        Bar("Cyphera Pipelines", [(result.value("wall"), "client")]),
    ]


def _draw_bar(svg: ElementTree.Element, bar: Bar, top: int, longest: float) -> None:
    _text(svg, bar.label, LABELS - 10, top + BAR * 0.7, "label", anchor="end")
    left = float(LABELS)
    for value, kind in bar.parts:
        width = value / longest * (WIDTH - LABELS - 130)
        place = {"x": f"{left:.1f}", "y": str(top), "width": f"{width:.1f}", "height": str(BAR)}
        ElementTree.SubElement(svg, "rect", {"class": kind, **place})
        left += width
    values = " + ".join(plain_number(value) for value, _ in bar.parts)
    _text(svg, values, left + 8, top + BAR * 0.7, "note")


def _text(svg: ElementTree.Element, text: str, left: float, baseline: float, kind: str, anchor: str = "start") -> None:
    place = {"class": kind, "x": f"{left:.1f}", "y": f"{baseline:.1f}", "text-anchor": anchor}
    ElementTree.SubElement(svg, "text", place).text = text
