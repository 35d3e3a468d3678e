"""The sandbox as one ASGI application: the provider under `/v1`, its control interface under `/_sandbox`."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from cyphera_pipelines.sandbox.accounts import SandboxAccount
from cyphera_pipelines.sandbox.control import control_routes
from cyphera_pipelines.sandbox.options import SandboxOptions
from cyphera_pipelines.sandbox.provider_api import ProviderApi
from cyphera_pipelines.sandbox.state import SandboxState


def create_app(accounts: Iterable[SandboxAccount], options: SandboxOptions | None = None) -> ASGIApp:
    """Return the sandbox as an ASGI application. Faults that close connections work under our own server only."""
    return app_for(SandboxState(accounts, options))


def app_for(state: SandboxState) -> ASGIApp:
    """Return the ASGI application of a state."""
    control = Starlette(routes=[Mount("/_sandbox", routes=control_routes(state))])
    provider = ProviderApi(state)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # Provider requests skip the framework: it would cost as much as answering them.
        if scope["type"] == "http" and not scope["path"].startswith("/_sandbox"):
            await provider(scope, receive, send)
        else:
            await control(scope, receive, send)

    return app
