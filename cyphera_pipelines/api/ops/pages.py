"""Pages: rendered from templates that escape everything, with headers that let nothing else in."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from cyphera_pipelines.api.ops.assets import ASSETS_PATH, asset_name
from cyphera_pipelines.api.ops.words import moment_in_utc, number, relative
from cyphera_pipelines.security.secrets import redact

if TYPE_CHECKING:
    from cyphera_pipelines.api.ops.viewers import Viewer

OPS_PATH = "/ops"
NAVIGATION = (("Sources", ""), ("Alerts", "/alerts"), ("Error codes", "/errors"))
"""What every page leads to: a title, and a path below /ops."""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


class PageError(Exception):
    """Shown as a page: a title, a sentence, and if there is somewhere to go, that link's words and path below /ops."""

    def __init__(self, status: int, title: str, sentence: str, *, link: tuple[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = HTTPStatus(status)
        self.title = title
        self.sentence = sentence
        self.link = link


def no_such_page() -> PageError:
    """Something does not exist, or is another workspace's: nobody can tell which."""
    return PageError(
        HTTPStatus.NOT_FOUND,
        "There is nothing here",
        "There is no such page, or nothing of yours that it could show.",
        link=("To the sources", ""),
    )


def page(
    request: Request, viewer: "Viewer | None", template: str, *, status: int = HTTPStatus.OK, **context: Any
) -> HTMLResponse:
    """The template with the context, and what every template may use: see `base.html` and `macros.html`."""
    rendered = render_part(
        request,
        template,
        viewer=viewer,
        csrf_token="" if viewer is None else viewer.csrf_token,
        asset=lambda name: f"{_root(request)}{ASSETS_PATH}/{asset_name(name)}",
        navigation=NAVIGATION,
        here=request.url.path.removeprefix(f"{_root(request)}{OPS_PATH}"),
        root=_root(request),
        **context,
    )
    return HTMLResponse(rendered, status, headers=_HEADERS)


def render_part(request: Request, template: str, **context: Any) -> str:
    """A piece of a page that holds nothing of whoever looks at it."""
    return _templates.get_template(template).render(
        request=request,
        url_for_ops=lambda path="": url_for_ops(request, path),
        now=datetime.now(UTC),
        **context,
    )


def url_for_ops(request: Request, path: str = "") -> str:
    """The address of a page, given its path below /ops, as in `/sessions/7c9e...`; behind a proxy's prefix too."""
    return f"{_root(request)}{OPS_PATH}{path}"


def _root(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")


_templates = Environment(
    loader=PackageLoader("cyphera_pipelines.api.ops"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {"number": number, "relative": relative, "utc": moment_in_utc, "redacted": redact}
