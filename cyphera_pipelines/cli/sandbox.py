"""`cyphera sandbox`: a server shaped as Stripe and Chargebee, with generated data; things happen, webhooks tell."""

from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.sandbox_changes import change
from cyphera_pipelines.cli.sandbox_port import DEFAULT_PORT
from cyphera_pipelines.cli.sandbox_webhooks import SetOption, read_webhook_options, webhooks
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError, InvalidInputError

if TYPE_CHECKING:
    from cyphera_pipelines.sandbox import ChargebeeSite, SandboxAccount

ENDS_FILE = "sandbox-ends"
"""In the home: when the data of its sandbox end."""


class SandboxProvider(StrEnum):
    """Whose API a sandbox serves."""

    STRIPE = "stripe"
    CHARGEBEE = "chargebee"


app = typer.Typer(invoke_without_command=True)
app.command("change")(change)
app.command("webhooks")(webhooks)


@app.callback()
def sandbox(
    context: typer.Context,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where to listen on 127.0.0.1; 0 picks a free port.")
    ] = DEFAULT_PORT,
    provider: Annotated[
        SandboxProvider | None,
        typer.Option(help="Serve this provider's accounts only; by default both, at one address.", show_default=False),
    ] = None,
    latency_ms: Annotated[float, typer.Option(min=0, help="Delay of every answer, in milliseconds.")] = 0.0,
    account_rate: Annotated[float | None, typer.Option(help="Requests per second that an account may make.")] = None,
    account_per_minute: Annotated[
        int | None,
        typer.Option(min=1, help="Requests per minute that an account may make; Chargebee's own: 150."),
    ] = None,
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
    """Serve the APIs of Stripe (/v1) and Chargebee (/api/v2) with generated data on this machine. Ctrl-C stops it.

    Connect an account of each to a workspace of yours:

        cyphera source add acme stripe --base-url http://127.0.0.1:12119

        cyphera source add acme chargebee --base-url http://127.0.0.1:12119 --option site=three-test

    What happens in it (`cyphera sandbox change`) is sent to webhook endpoints on this machine: signed, to those that
    were made through Stripe's API (`POST /v1/webhook_endpoints`); with Basic auth, to those that were made with
    `cyphera sandbox webhooks --to` for a Chargebee site. `cyphera sandbox webhooks` shows what arrived.
    """
    if context.invoked_subcommand is not None:
        return
    # Takes a while to import: other commands should not wait for it.
    from cyphera_pipelines.sandbox import SandboxOptions, WebhookOptions, serve

    home = services.settings().home
    accounts = accounts_of_home(home, ends) if provider is not SandboxProvider.CHARGEBEE else []
    sites = sites_of_home(home, ends) if provider is not SandboxProvider.STRIPE else []
    starting = ExitStack()

    def announce(url: str) -> None:
        starting.close()
        keys = [f"Stripe's keys: {', '.join(account.api_key for account in accounts)}."] if accounts else []
        named = ", ".join(f"{site.site} with {site.api_key}" for site in sites)
        typer.echo(
            " ".join([f"The sandbox serves {url}.", *keys, *([f"Chargebee's sites: {named}."] if sites else [])])
        )

    options = SandboxOptions(
        latency_ms=latency_ms,
        account_rate=account_rate,
        account_per_minute=account_per_minute,
        endpoint_rate=endpoint_rate,
        webhooks=WebhookOptions(**read_webhook_options(webhook_options)),
    )
    try:
        # Being told to stop is how it ends.
        with suppress(KeyboardInterrupt), starting:
            starting.enter_context(working("Making the sandbox's data"))
            serve([*accounts, *sites], options, port=port, on_ready=announce)
    except OSError as error:
        raise CypheraError(
            f"Port {port} cannot be used ({error.strerror}); choose another one with --port.",
            code=ErrorCode.ADDRESS_IN_USE,
        ) from None


def accounts_of_home(home: Path, ends: str | None = None) -> "list[SandboxAccount]":
    """Stripe's accounts: the demo's, then the spare ones."""
    from cyphera_pipelines.sandbox import demo_accounts, spare_accounts

    moment = _ends_of_home(home, ends)
    return [*demo_accounts(moment), *spare_accounts(moment)]


def sites_of_home(home: Path, ends: str | None = None) -> "list[ChargebeeSite]":
    """Chargebee's sites: the demo's, then the spare one."""
    from cyphera_pipelines.sandbox import demo_sites, spare_sites

    moment = _ends_of_home(home, ends)
    return [*demo_sites(moment), *spare_sites(moment)]


def _ends_of_home(home: Path, ends: str | None) -> datetime:
    """When the data end: when they did before in this home, or at `ends`, or now if that was never said.

    Data that moved on by themselves, without a provider event, would be what no real provider has.
    """
    file = home / ENDS_FILE
    try:
        if ends is None and file.exists():
            return _moment(file.read_text().strip())
        moment = _moment(ends or "now")
        home.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{moment.isoformat()}\n")
    except OSError as error:
        raise CypheraError(
            f"{file} cannot be used ({error.strerror}); name a folder of your own in CYPHERA_HOME.",
            code=ErrorCode.FILE_UNUSABLE,
        ) from None
    return moment


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
