"""`cyphera sandbox`: a Stripe-shaped server with generated data."""

from contextlib import suppress
from typing import Annotated

import typer

from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.sandbox import SandboxOptions, demo_accounts, serve, spare_accounts

DEFAULT_PORT = 12119


def sandbox(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where to listen on 127.0.0.1; 0 picks a free port.")
    ] = DEFAULT_PORT,
    latency_ms: Annotated[float, typer.Option(min=0, help="Delay of every answer, in milliseconds.")] = 0.0,
    account_rate: Annotated[float | None, typer.Option(help="Requests per second that an account may make.")] = None,
    endpoint_rate: Annotated[float | None, typer.Option(help="Requests per second per endpoint of an account.")] = None,
) -> None:
    """Serve a Stripe-shaped API with generated data on this machine. Ctrl-C stops it."""
    accounts = [*demo_accounts(), *spare_accounts()]

    def announce(url: str) -> None:
        typer.echo(f"The sandbox serves {url}. Keys: {', '.join(account.api_key for account in accounts)}")

    options = SandboxOptions(latency_ms=latency_ms, account_rate=account_rate, endpoint_rate=endpoint_rate)
    try:
        # Being told to stop is how it ends.
        with suppress(KeyboardInterrupt):
            serve(accounts, options, port=port, on_ready=announce)
    except OSError as error:
        raise CypheraError(f"Port {port} cannot be used ({error.strerror}); choose another one with --port.") from None
