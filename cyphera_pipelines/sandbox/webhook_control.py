"""The part of the control interface by which webhooks are watched and let go wrong."""

from collections.abc import Awaitable, Callable

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from cyphera_pipelines.sandbox.serialization import from_bytes, to_bytes
from cyphera_pipelines.sandbox.state import SandboxState

Handler = Callable[[Request], Awaitable[Response]]


class ResendBody(BaseModel):
    """An event to send once more: to one endpoint, or to all that want it."""

    model_config = ConfigDict(extra="forbid")

    account: str
    event_id: str
    endpoint_id: str | None = None


class EndpointBody(BaseModel):
    """Where the events of a Chargebee site are sent, and the Basic auth that goes with them."""

    model_config = ConfigDict(extra="forbid")

    account: str
    url: str
    username: str | None = None
    password: str | None = None


def webhook_handlers(state: SandboxState) -> list[tuple[str, str, Handler]]:
    """Return method, path and handler of each route."""

    async def show(_request: Request) -> Response:
        return _json(state.webhook_statistics())

    async def ids(_request: Request) -> Response:
        return _json(state.webhooks_not_arrived())

    async def change(request: Request) -> Response:
        changes = from_bytes(await request.body())
        if not isinstance(changes, dict):
            raise ValueError('what changes is said by an object, as in {"lost": 0.1}')
        state.change_webhooks(**changes)
        return _json(state.webhook_statistics())

    async def resend(request: Request) -> Response:
        body = ResendBody.model_validate_json(await request.body())
        return _json({"endpoints": state.resend(body.account, body.event_id, body.endpoint_id)})

    async def add_endpoint(request: Request) -> Response:
        body = EndpointBody.model_validate_json(await request.body())
        return _json({"id": state.add_webhook_endpoint(body.account, body.url, body.username, body.password)})

    return [
        ("GET", "/webhooks", show),
        ("PATCH", "/webhooks", change),
        ("GET", "/webhooks/not_arrived", ids),
        ("POST", "/webhooks/resend", resend),
        ("POST", "/webhooks/endpoints", add_endpoint),
    ]


def _json(value: object) -> Response:
    return Response(to_bytes(value), media_type="application/json")
