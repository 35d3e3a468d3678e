"""The report as a page: one file, without scripts, that asks for nothing from anywhere."""

from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cyphera_pipelines.analytics.report.contents import Report


def render(report: Report) -> str:
    """The page as HTML. Every text is escaped; drawings are ours, and hold no text of the provider's."""
    return _pages.get_template("report.html").render(report=report)


def _moment(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


_pages = Environment(
    loader=PackageLoader(__name__.rpartition(".")[0]),
    undefined=StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_pages.filters["moment"] = _moment
_pages.filters["drawing"] = Markup
