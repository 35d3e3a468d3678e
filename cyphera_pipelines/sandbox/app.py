"""The sandbox as one ASGI application.

Stripe is under `/v1`, Chargebee under `/api/v2`, the control interface under `/_sandbox`.
"""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from cyphera_pipelines.sandbox.accounts import Account
from cyphera_pipelines.sandbox.chargebee.api import ChargebeeApi
from cyphera_pipelines.sandbox.chargebee.endpoints import ROOT as CHARGEBEE
from cyphera_pipelines.sandbox.control import control_routes
from cyphera_pipelines.sandbox.options import SandboxOptions
from cyphera_pipelines.sandbox.state import SandboxState
from cyphera_pipelines.sandbox.stripe.api import StripeApi


def create_app(accounts: Iterable[Account], options: SandboxOptions | None = None) -> ASGIApp:
    """Return the sandbox as an ASGI application. Faults that close connections work under our own server only."""
    return app_for(SandboxState(accounts, options))


def app_for(state: SandboxState) -> ASGIApp:
    """Return the ASGI application of a state."""
    control = Starlette(routes=[Mount("/_sandbox", routes=control_routes(state))])
    stripe, chargebee = StripeApi(state, state.stripe), ChargebeeApi(state, state.chargebee)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # Provider requests skip the framework: it would cost as much as answering them.
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox"):
            await control(scope, receive, send)
        elif scope["path"].startswith(CHARGEBEE):
            await chargebee(scope, receive, send)
        else:
            await stripe(scope, receive, send)

    return app
