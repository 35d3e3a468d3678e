"""`cyphera sandbox`: a Stripe-shaped server with generated data; something happens in it, and webhooks tell of it."""

from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.sandbox_changes import change
from cyphera_pipelines.cli.sandbox_port import DEFAULT_PORT
from cyphera_pipelines.cli.sandbox_webhooks import SetOption, read_webhook_options, webhooks
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.model.errors import CypheraError, InvalidInputError

if TYPE_CHECKING:
    from cyphera_pipelines.sandbox import SandboxAccount

ENDS_FILE = "sandbox-ends"
"""In the home: when the data of its sandbox end."""

app = typer.Typer(help="A Stripe-shaped server with generated data on this machine.", invoke_without_command=True)
app.command("change")(change)
app.command("webhooks")(webhooks)


@app.callback()
def sandbox(
    context: typer.Context,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where to listen on 127.0.0.1; 0 picks a free port.")
    ] = DEFAULT_PORT,
    latency_ms: Annotated[float, typer.Option(min=0, help="Delay of every answer, in milliseconds.")] = 0.0,
    account_rate: Annotated[float | None, typer.Option(help="Requests per second that an account may make.")] = None,
    endpoint_rate: Annotated[float | None, typer.Option(help="Requests per second per endpoint of an account.")] = None,
    ends: Annotated[
        str | None,
        typer.Option(
            help="When the data end: `now`, or a moment as in 2026-11-26 or 2026-11-26T18:00. Unless you say "
            "otherwise, when this home's sandbox first ran, so that what was synced from it stays as it is."
        ),
    ] = None,
    webhook_options: SetOption = None,
) -> None:
    """Serve a Stripe-shaped API with generated data on this machine. Ctrl-C stops it.

    What happens in it (`cyphera sandbox change`) is sent, signed, to the webhook endpoints that were made through its
    API (`POST /v1/webhook_endpoints`), on this machine only. `cyphera sandbox webhooks` shows what arrived.
    """
    if context.invoked_subcommand is not None:
        return
    # Takes a while to import: other commands should not wait for it.
    from cyphera_pipelines.sandbox import SandboxOptions, WebhookOptions, serve

    accounts = accounts_of_home(services.settings().home, ends)
    starting = ExitStack()

    def announce(url: str) -> None:
        starting.close()
        typer.echo(f"The sandbox serves {url}. Keys: {', '.join(account.api_key for account in accounts)}")

    options = SandboxOptions(
        latency_ms=latency_ms,
        account_rate=account_rate,
        endpoint_rate=endpoint_rate,
        webhooks=WebhookOptions(**read_webhook_options(webhook_options)),
    )
    try:
        # Being told to stop is how it ends.
        with suppress(KeyboardInterrupt), starting:
            starting.enter_context(working("Making the sandbox's data"))
            serve(accounts, options, port=port, on_ready=announce)
    except OSError as error:
        raise CypheraError(f"Port {port} cannot be used ({error.strerror}); choose another one with --port.") from None


def accounts_of_home(home: Path, ends: str | None = None) -> "list[SandboxAccount]":
    """The demo's accounts, then the spare ones.

    Their data end when they did before in this home, or at `ends`, or now if that was never said. Data that moved on by
    themselves, without a provider event, would be what no real provider has.
    """
    file = home / ENDS_FILE
    try:
        if ends is None and file.exists():
            return _accounts(_moment(file.read_text().strip()))
        moment = _moment(ends or "now")
        home.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{moment.isoformat()}\n")
    except OSError as error:
        raise CypheraError(
            f"{file} cannot be used ({error.strerror}); name a folder of your own in CYPHERA_HOME."
        ) from None
    return _accounts(moment)


def _accounts(ends: datetime) -> "list[SandboxAccount]":
    from cyphera_pipelines.sandbox import demo_accounts, spare_accounts

    return [*demo_accounts(ends), *spare_accounts(ends)]


def _moment(text: str) -> datetime:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    if text == "now":
        return now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(f"{text!r} is no moment: write `now`, 2026-11-26 or 2026-11-26T18:00.") from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if moment > now:
        raise InvalidInputError(f"{text} is yet to come: no provider has data from then.")
    return moment
