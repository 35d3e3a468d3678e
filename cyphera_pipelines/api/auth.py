"""Who is calling: every route of a router with `AuthenticatedRoute` asks before it so much as reads the body."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any, ClassVar
from uuid import UUID

from fastapi import Depends, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader
from starlette.concurrency import run_in_threadpool

from cyphera_pipelines.api.problems import FieldProblem, ProblemError, forbidden, invalid, unauthenticated
from cyphera_pipelines.api.query_parameters import QueryParameters
from cyphera_pipelines.api.services import Services
from cyphera_pipelines.model.actor import acting_as, api_key_actor
from cyphera_pipelines.model.key_levels import KeyExpiredError, KeyLevel
from cyphera_pipelines.security.api_keys import PresentedKey, parse_key
from cyphera_pipelines.store.api_keys import Caller, find_caller

KEY_HEADER = "X-API-Key"
WORKSPACE_HEADER = "X-Workspace-ID"
_ASKING = ("GET", "HEAD")

# For the document: what they check is checked by the route, before anything else is looked at.
api_key_scheme = APIKeyHeader(
    name=KEY_HEADER,
    scheme_name="ApiKey",
    auto_error=False,
    description="A key of the workspace, as in `cyk_...`. An operator makes it with `cyphera key create SLUG`.",
)
workspace_scheme = APIKeyHeader(
    name=WORKSPACE_HEADER,
    scheme_name="Workspace",
    auto_error=False,
    description="The id of the workspace that the key was made for. `cyphera key create` prints it beside the key.",
)


class AuthenticatedRoute(APIRoute):
    """A route for holders of a key only: any key may ask, and more takes one of the level that the route needs."""

    needs: ClassVar[KeyLevel] = KeyLevel.SYNC

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the check of the key and of the body's type."""
        handle, query = super().get_route_handler(), QueryParameters.of(self)

        async def handle_authenticated(request: Request) -> Response:
            services: Services = request.app.state.services
            key, workspace_id = _presented(request)
            with services.key_places.take(key.digest()):
                try:
                    caller = await run_in_threadpool(find_caller, services.database, workspace_id, key)
                except KeyExpiredError as error:
                    raise unauthenticated(error) from None
                if caller is None:
                    raise unauthenticated()
                request.state.caller = caller
                needed = KeyLevel.READ if request.method in _ASKING else self.needs
                if not caller.level.allows(needed):
                    raise forbidden(caller.level, needed)
                if request.method not in _ASKING:
                    query.check(request)
                if self.body_field is not None:
                    await _refuse_other_types(request)
                with acting_as(api_key_actor(caller.key_id, caller.key_name)):
                    return await handle(request)

        return handle_authenticated


class WritingRoute(AuthenticatedRoute):
    """A route that writes at providers."""

    needs = KeyLevel.WRITE


class AdministrationRoute(AuthenticatedRoute):
    """A route that says where providers pay money out to."""

    needs = KeyLevel.ADMIN


def _presented(request: Request) -> tuple[PresentedKey, UUID]:
    """The key and the workspace that the headers name."""
    key = parse_key(request.headers.get(KEY_HEADER, ""))
    try:
        workspace_id = UUID(request.headers.get(WORKSPACE_HEADER, ""))
    except ValueError:
        raise unauthenticated() from None
    if key is None:
        raise unauthenticated()
    return key, workspace_id


async def _refuse_other_types(request: Request) -> None:
    """A body of another type would be reported as a wrong value, which puzzles people; null would pass for none."""
    has_body = request.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in request.headers
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if has_body and media_type != "application/json":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "Not JSON",
            "Send the body as JSON, with the header Content-Type: application/json.",
        )
    if (await request.body()).strip() == b"null":
        raise invalid(
            FieldProblem(location="body", field="", message="The body is null.", remedy="Send an object, as in {}.")
        )


async def _caller(
    request: Request,
    _key: Annotated[str | None, Security(api_key_scheme)],
    _workspace: Annotated[str | None, Security(workspace_scheme)],
) -> Caller:
    caller: Caller = request.state.caller
    return caller


CurrentCaller = Annotated[Caller, Depends(_caller)]
