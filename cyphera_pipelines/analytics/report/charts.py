"""Charts as SVG for a page: colours are the page's own, so that they follow its light and dark."""

import re

import altair as alt
import pandas as pd
import vl_convert

WIDTH, HEIGHT = 420, 180
"""Pixels; the page lets them shrink and grow."""
MOVEMENTS = ("new", "reactivation", "expansion", "contraction", "churn")
"""In the order in which they are stacked; each is a colour of the page, as in --new."""


def mrr(months: pd.DataFrame) -> str:
    """What each month closed with. Columns: month, value."""
    chart = alt.Chart(months)
    x = alt.X("month:T", title=None, axis=_months(len(months)))
    y = alt.Y("value:Q", title=None, axis=alt.Axis(format="~s", tickCount=5))
    if len(months) == 1:
        return _svg(chart.mark_point(filled=True, color="var(--accent)", size=60).encode(x=x, y=y))
    area = chart.mark_area(
        line={"color": "var(--accent)", "strokeWidth": 2}, color="var(--accent)", fillOpacity=0.18
    ).encode(x=x, y=y)
    return _svg(area)


def movements(moved: pd.DataFrame) -> str:
    """What came and went in each month. Columns: month, movement, value; what is lost is below 0."""
    bars = (
        alt.Chart(moved)
        .mark_bar(width=_bar_width(moved["month"].nunique()))
        .encode(
            x=alt.X("month:T", title=None, axis=_months(moved["month"].nunique())),
            y=alt.Y("value:Q", title=None, axis=alt.Axis(format="~s", tickCount=6)),
            color=alt.Color(
                "movement:N",
                sort=list(MOVEMENTS),
                scale=alt.Scale(domain=list(MOVEMENTS), range=[f"var(--{each})" for each in MOVEMENTS]),
                legend=alt.Legend(title=None, orient="top", columns=5, symbolType="square"),
            ),
            order=alt.Order("place:Q"),
        )
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color="var(--ink)", opacity=0.5).encode(y="zero:Q")
    return _svg(bars + zero)


def lines(values: pd.DataFrame, colours: dict[str, str], *, is_share: bool) -> str:
    """One line for each series. Columns: month, series, value; `colours` are names of the page's, by series."""
    chart = alt.Chart(values).encode(
        x=alt.X("month:T", title=None, axis=_months(values["month"].nunique())),
        y=alt.Y("value:Q", title=None, axis=alt.Axis(format=".0%" if is_share else "~s", tickCount=5)),
        color=alt.Color(
            "series:N",
            scale=alt.Scale(domain=list(colours), range=[f"var(--{each})" for each in colours.values()]),
            legend=alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=3),
        ),
    )
    return _svg(chart.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=22, filled=True)))


def cohorts(retained: pd.DataFrame) -> str:
    """How much of each cohort is left. Columns: cohort (text), months_since, share (0 to 1 and above), label."""
    apart = alt.Scale(paddingInner=0.05)
    x = alt.X("months_since:O", title="months since", axis=alt.Axis(labelAngle=0), scale=apart)
    y = alt.Y("cohort:O", title=None, sort="ascending", scale=apart)
    base = alt.Chart(retained).encode(x=x, y=y)
    cells = base.mark_rect(color="var(--accent)").encode(
        fillOpacity=alt.FillOpacity(
            "share:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 0.75], clamp=True), legend=None
        )
    )
    labels = base.mark_text(fontSize=10, color="var(--ink)").encode(text="label:N")
    return _svg(cells + labels, height=max(70, 20 * retained["cohort"].nunique()))


def aging(buckets: pd.DataFrame) -> str:
    """What is owed by how long. Columns: bucket, place, value."""
    bars = (
        alt.Chart(buckets)
        .mark_bar(color="var(--accent)")
        .encode(
            x=alt.X("value:Q", title=None, axis=alt.Axis(format="~s", tickCount=5)),
            y=alt.Y(
                "bucket:N", title=None, sort=alt.EncodingSortField("place"), axis=alt.Axis(minExtent=125, labelLimit=0)
            ),
        )
    )
    return _svg(bars, height=150)


def _months(count: int) -> alt.Axis:
    return alt.Axis(format="%b %y", tickCount=min(count, 6), labelOverlap=True, labelAngle=0, grid=False)


def _bar_width(count: int) -> float:
    return max(3, min(40, WIDTH * 0.6 / max(count, 1)))


def _svg(chart: alt.Chart | alt.LayerChart, *, height: int = HEIGHT) -> str:
    themed = (
        chart.properties(width=WIDTH, height=height, background="transparent")
        .configure(font="system-ui, sans-serif", aria=False, padding=4)
        .configure_axis(
            labelColor="var(--quiet)",
            titleColor="var(--quiet)",
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            gridColor="var(--line)",
            domainColor="var(--line)",
            tickColor="var(--line)",
        )
        .configure_legend(labelColor="var(--ink)", labelFontSize=12)
        .configure_view(stroke=None)
    )
    drawn: str = vl_convert.vegalite_to_svg(themed.to_json(), vl_version=_VEGA_LITE)
    return _fitting(drawn)


def _fitting(svg: str) -> str:
    """The drawing in the size of its place and without what the page has no use for, which is half of it."""
    opening, rest = svg.split(">", 1)
    opening = re.sub(r' (width|height|xmlns:xlink|version|class)="[^"]*"', "", opening)
    for useless in _USELESS:
        rest = useless.sub("", rest)
    shorter = _ALIKE.sub(_with_what_they_share, _LONG_NUMBER.sub(r"\1", rest))
    return f'{opening} aria-hidden="true" focusable="false">{shorter}'


def _with_what_they_share(found: re.Match[str]) -> str:
    """A group of marks, with the attributes that all of them have said once, of the group."""
    marks = found[1]
    count = len(_MARK.findall(marks))
    first = _MARK.match(marks)
    shared = [each for each in _INHERITED.findall(first[0] if first else "") if marks.count(each) == count]
    for each in shared:
        marks = marks.replace(each, "")
    return f"<g{''.join(shared)}>{marks}</g>"


_USELESS = (
    re.compile(r'<path class="(?:background|foreground)"[^>]*/>'),
    re.compile(r' (?:class|role|aria-[a-z]+|pointer-events|font-family|xml:space)="[^"]*"'),
    re.compile(r' (?:opacity|fill-opacity|stroke-opacity)="1"'),
)
_MARK = re.compile(r"<(?:path|text|line|rect)\b[^>]*>")
_INHERITED = re.compile(r' (?:fill|stroke|stroke-width|font-size|text-anchor)="[^"]*"')
_ALIKE = re.compile(r"<g>((?:<(?:path|line|rect)\b[^>]*/>|<text\b[^>]*>[^<]*</text>){2,})</g>")
_LONG_NUMBER = re.compile(r"(\d+\.\d\d)\d+(?=[^<>]*>)")
_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
"""The language that altair writes, which the drawing program has to read."""
