"""A route of the page: nobody is shown or does anything without a sign-in, and what goes wrong is told as a page."""

import hmac
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from cyphera_pipelines.api.ops.cookies import read_token
from cyphera_pipelines.api.ops.pages import OPS_PATH, PageError, url_for_ops
from cyphera_pipelines.api.ops.problems import page_of_problem
from cyphera_pipelines.api.ops.viewers import Viewer, viewer_of
from cyphera_pipelines.api.services import Services
from cyphera_pipelines.model.actor import acting_as
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.store.sign_ins import find_sign_in

FORM_TYPE = "application/x-www-form-urlencoded"
CSRF_FIELD = "csrf_token"
_ASKING = ("GET", "HEAD")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route of the page: whatever may be asked for may be asked about, by HEAD."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.methods is not None and "GET" in self.methods:
            self.methods.add("HEAD")


class OpsRoute(PageRoute):
    """For whoever is signed in. What is sent by POST must be a form of this browser's, of a key that may do things."""

    def get_route_handler(self) -> Handler:
        """The handler, behind these checks."""
        handle = super().get_route_handler()

        async def handle_signed_in(request: Request) -> Response:
            viewer = await _find_viewer(request)
            request.state.viewer, request.state.is_acting = viewer, False
            services: Services = request.app.state.services
            if viewer is None:
                return _ask_to_sign_in(request)
            with services.key_places.take(viewer.key_id):
                if request.method in _ASKING:
                    return await handle(request)
                await check_form(request, viewer.csrf_token)
                if not viewer.may(self.needs):
                    raise _may_not(viewer)
                request.state.is_acting = True
                with acting_as(viewer.actor):
                    return await handle(request)

        return _telling_problems(handle_signed_in)

    needs: ClassVar[KeyLevel] = KeyLevel.SYNC


class SignedInRoute(OpsRoute):
    """A route whose forms anybody who is signed in may send, as the one that signs out."""

    needs = KeyLevel.READ


class PublicRoute(PageRoute):
    """A route of the page for everybody."""

    def get_route_handler(self) -> Handler:
        """The handler."""
        handle = super().get_route_handler()

        async def handle_anybody(request: Request) -> Response:
            request.state.viewer = None
            return await handle(request)

        return _telling_problems(handle_anybody)


def ops_router(route_class: type[APIRoute] = OpsRoute) -> APIRouter:
    """A router of pages: its paths are those below /ops."""
    return APIRouter(prefix=OPS_PATH, route_class=route_class, include_in_schema=False)


def _telling_problems(handle: Handler) -> Handler:
    async def handle_and_tell(request: Request) -> Response:
        try:
            return await handle(request)
        except Exception as error:
            return page_of_problem(request, getattr(request.state, "viewer", None), error)

    return handle_and_tell


async def _find_viewer(request: Request) -> Viewer | None:
    token = read_token(request)
    if token is None:
        return None
    services: Services = request.app.state.services
    found = await run_in_threadpool(find_sign_in, services.database, token)
    return None if found is None else viewer_of(found, token)


def _ask_to_sign_in(request: Request) -> Response:
    if request.method not in _ASKING:
        raise PageError(
            HTTPStatus.UNAUTHORIZED,
            "You are not signed in any more",
            "Nothing was done. Sign in, look at the page again, and then do it.",
            link=("Sign in", "/sign-in"),
        )
    asked = request.url.path.removeprefix(request.scope.get("root_path", "").rstrip("/"))
    wanted = f"{asked}?{request.url.query}" if request.url.query else asked
    return RedirectResponse(
        f"{url_for_ops(request, '/sign-in')}?next={quote(wanted, safe='/')}",
        HTTPStatus.SEE_OTHER,
        headers={"Cache-Control": "no-store"},
    )


async def check_form(request: Request, csrf_token: str) -> None:
    """Raise PageError unless what was sent is a form of this page, filled in by the browser that it was given to."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != FORM_TYPE:
        raise PageError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Nothing was done", f"This takes a form of this page ({FORM_TYPE})."
        )
    if not _is_from_here(request):
        raise _foreign_form()
    sent = (await request.form(max_fields=100)).get(CSRF_FIELD, "")
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), csrf_token.encode()):
        raise _foreign_form()


def _is_from_here(request: Request) -> bool:
    """What browsers tell of where a form was: by the host alone, since a proxy in front may speak another scheme."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None and site not in ("same-origin", "none"):
        return False
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == request.headers.get("Host", "")
    except ValueError:
        # No address at all, as in http://[
        return False


def _foreign_form() -> PageError:
    return PageError(
        HTTPStatus.FORBIDDEN,
        "Nothing was done",
        "The form was not this page's, or it was older than your sign-in. Open the page again, and then send it.",
        link=("To the sources", ""),
    )


def _may_not(viewer: Viewer) -> PageError:
    return PageError(
        HTTPStatus.FORBIDDEN,
        "Your key may only look",
        f"You are signed in with the key “{viewer.name}”, which reads and changes nothing. Sign in with one that may "
        "start and stop syncs.",
        link=("To the sources", ""),
    )
