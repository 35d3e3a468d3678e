"""`cyphera source`: the accounts that workspaces connect."""

import getpass
import os
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.confirmation import ConfirmOption, confirm_slug
from cyphera_pipelines.cli.freshness_cells import due, shown_as_json, state_of
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_table, short_id
from cyphera_pipelines.cli.purge import FOR_GOOD, PurgeOption, purge_and_watch
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.errors import CypheraError, InvalidInputError
from cyphera_pipelines.model.freshness import SourceFreshness
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.store.configurations import (
    create_configuration,
    find_active_configuration,
    list_providers,
    remove_configuration,
)
from cyphera_pipelines.store.freshness import read_freshness
from cyphera_pipelines.store.platform_accounts import allow_account
from cyphera_pipelines.store.sources import find_source, list_sources_with_state
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_sessions_of_source
from cyphera_pipelines.sync.configuration import OtherModeError, check_credentials, opening_credentials, settle_mode
from cyphera_pipelines.sync.connection import ProblemCode, check_connection

app = typer.Typer(help="Sources: a workspace's account at a payment provider.", no_args_is_help=True)

ProviderArgument = Annotated[str, typer.Argument(help="The payment provider, as in 'stripe'.")]
OptionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="What the provider has to know besides the key; may be repeated."
    ),
]


@app.command("add")
def add(
    slug: SlugArgument,
    provider: ProviderArgument,
    api_key_stdin: Annotated[
        bool, typer.Option("--api-key-stdin", help="Read the API key from standard input (asked for in a terminal).")
    ] = False,
    base_url: Annotated[
        str | None,
        typer.Option(
            help="Another address than the provider's own: a loopback server in embedded mode, or an allowed host."
        ),
    ] = None,
    webhook_secret_env: Annotated[
        str | None, typer.Option(metavar="VAR", help="Name of the environment variable that holds the webhook secret.")
    ] = None,
    connected_account: Annotated[
        str | None,
        typer.Option(
            metavar="ACCT",
            help="The account to read with a platform's or an organization's key, as in acct_...; else the key's own.",
        ),
    ] = None,
    uses_platform_key: Annotated[
        bool,
        typer.Option(
            "--platform-key",
            help="No key of its own: read the connected account, or the platform's own, with the platform's key. It "
            "ties the account to the workspace, as `cyphera workspace allow-account` does.",
        ),
    ] = False,
    test_mode: Annotated[
        bool | None,
        typer.Option("--test-mode/--live-mode", help="The key's mode, where the key itself does not tell it."),
    ] = None,
    store_raw: Annotated[
        bool, typer.Option("--raw/--no-raw", help="Keep the provider's whole objects beside the typed columns.")
    ] = True,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="Requests per second, in all and per endpoint; the provider's published limits by default."
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="What people call the source.")] = None,
    option: OptionOption = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Connect a workspace's account. The credentials are stored encrypted."""
    implementation = find_provider(provider)
    workspace = find_workspace(services.database(), slug)
    if uses_platform_key and api_key_stdin:
        raise InvalidInputError("Give an API key with --api-key-stdin, or use the platform's with --platform-key.")
    api_key = "" if uses_platform_key else read_api_key(api_key_stdin)
    given = Credentials(
        api_key=SecretStr(api_key),
        uses_platform_key=uses_platform_key,
        webhook_secret=read_secret_variable(webhook_secret_env),
        base_url=base_url,
        options=read_options(option),
    )
    credentials = check_credentials(implementation, given, connected_account, services.settings())
    opening = opening_credentials(implementation, credentials, services.settings())
    try:
        is_test_mode = settle_mode(implementation, opening, test_mode)
    except OtherModeError as error:
        raise InvalidInputError(
            f"This is a {error.key} mode key. Give a {error.wanted} mode key, or leave out --{error.wanted}-mode."
        ) from None
    if uses_platform_key:
        allow_account(services.database(), workspace, provider, connected_account, livemode=not is_test_mode)
    configuration = create_configuration(
        services.database(),
        services.keyring(),
        workspace,
        provider,
        credentials,
        is_test_mode=is_test_mode,
        label=(label or "").strip() or None,
        connected_account_id=connected_account,
        metadata=_metadata(store_raw=store_raw, rate=rate),
    )
    if as_json:
        print_json(configuration)
        return
    mode = "test" if configuration.is_test_mode else "live"
    typer.echo(f"Added source {slug}:{provider} ({mode} mode).")
    typer.echo(f"Next: cyphera source test {slug} {provider}, then cyphera sync {slug} {provider}")
    typer.echo("By itself it is synced from five minutes from now on, hourly: see cyphera schedule --help")


@app.command("list")
def list_all(as_json: bool = JSON_OPTION) -> None:
    """Show all sources and how fresh they are."""
    database = services.database()
    sources, fresh = list_sources_with_state(database), read_freshness(database)
    if as_json:
        print_json([{**asdict(each), "freshness": _as_json(fresh.get(each.key))} for each in sources])
        return
    rows = [
        (
            each.key,
            "test" if each.is_test_mode else "live",
            ago(each.last_sync_at),
            f"paused {ago(each.paused_at)}" if each.paused_at else each.last_status or "-",
            each.missing_objects or None,
            *_freshness_cells(fresh.get(each.key)),
        )
        for each in sources
    ]
    empty = "No sources yet. Add one: cyphera source add SLUG stripe --api-key-stdin"
    columns = ("SOURCE", "MODE", "LAST COMPLETE SYNC", "LAST SESSION", "MISSING#", "FRESH AS OF", "NEXT", "STATE")
    print_table(columns, rows, empty=empty)


def _as_json(found: SourceFreshness | None) -> dict[str, Any] | None:
    return None if found is None else shown_as_json(found)


def _freshness_cells(found: SourceFreshness | None) -> tuple[str | None, ...]:
    """As of when it is fresh, when it is due next, and its state; of one that was removed meanwhile nothing."""
    return (None, None, None) if found is None else (ago(found.fresh_at), due(found), state_of(found))


@app.command("test")
def try_credentials(slug: SlugArgument, provider: ProviderArgument, as_json: bool = JSON_OPTION) -> None:
    """Try the source's credentials: which account they reach and what they may read.

    Exit code 0: everything is readable. 2: some entity is not. 1: the credentials or the connection do not work.
    """
    source = find_source(services.database(), f"{slug}:{provider}")
    with working(f"Asking {find_provider(provider).title}"):
        report = check_connection(services.database(), services.keyring(), source)
    hopeless = [problem for problem in report.problems if problem.entity is None]
    if not report.readable and not report.unreadable:
        message = " ".join(problem.message for problem in hopeless)
        raise CypheraError(message, code=hopeless[0].error_code)
    if as_json:
        found = {"account": report.account, "readable": report.readable, "unreadable": report.unreadable}
        print_json({**found, "problems": [asdict(each) | {"error_code": each.error_code} for each in report.problems]})
    else:
        account = report.account
        typer.echo(
            f"Connected to {account.id} ({account.name or 'no name'})."
            if account
            else "Connected; the key may not read the account."
        )
        rows = [(entity.value, "readable") for entity in report.readable]
        rows += [(entity.value, reason) for entity, reason in report.unreadable.items()]
        print_table(("ENTITY", "RESULT"), rows, empty="")
        for problem in report.problems:
            if problem.code is ProblemCode.EVENTS_UNREADABLE:
                typer.echo(problem.message)
    if not report.success:
        raise typer.Exit(2)


@app.command("remove")
def remove(
    slug: SlugArgument, provider: ProviderArgument, purged: PurgeOption = False, confirmed: ConfirmOption = None
) -> None:
    """Disconnect a source. Its credentials are no longer used; its synced rows stay.

    A sync that waits or runs is cancelled. With --purge everything that is kept of the source is removed, also of one
    that was removed before: rows, sessions, events, webhooks, configurations, and what Dagster holds of them.
    """
    database = services.database()
    workspace = find_workspace(database, slug)
    if purged:
        if provider not in list_providers(database, workspace.id):
            find_provider(provider)  # more likely a slip than a source that was forgotten
        confirm_slug(slug, f"This removes everything that is kept of {slug}:{provider}. {FOR_GOOD}", confirmed)
        purge_and_watch(workspace, provider)
        return
    configuration = find_active_configuration(database, workspace, provider)
    source = find_source(database, f"{slug}:{provider}")
    cancellation = Cancellation.with_command("The source was removed", "cyphera source remove")
    with working("Removing the source"):
        remove_configuration(database, configuration)
        cancelled = cancel_sessions_of_source(database, source, cancellation)
    typer.echo(f"Removed source {slug}:{provider}. Its rows stay.")
    for session in cancelled:
        typer.echo(f"Cancelled its session {short_id(session.id)}.")


def _metadata(*, store_raw: bool, rate: float | None) -> dict[str, Any]:
    """What differs from the defaults."""
    metadata: dict[str, Any] = {} if store_raw else {"store_raw": False}
    if rate is not None:
        metadata["rate_limits"] = {"account": rate, "endpoint": rate}
    return metadata


def read_api_key(from_stdin: bool) -> str:
    """The API key from standard input, asked for in a terminal. Raises InvalidInputError."""
    if sys.stdin.isatty():
        api_key = getpass.getpass("API key: ")
    elif from_stdin:
        api_key = sys.stdin.readline()
    else:
        raise InvalidInputError(
            "Give the API key on standard input, with --api-key-stdin: it never belongs on a command line."
        )
    api_key = api_key.strip()
    if not api_key:
        raise InvalidInputError("The API key on standard input is empty.")
    register_secret(api_key)
    return api_key


def read_options(given: list[str] | None) -> dict[str, str]:
    """The options that were given as NAME=VALUE. Raises InvalidInputError."""
    options = dict[str, str]()
    for text in given or ():
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise InvalidInputError("Write an option as NAME=VALUE, as in --option site=acme-test")
        options[name.strip()] = value.strip()
    return options


def read_secret_variable(variable: str | None) -> SecretStr | None:
    """The secret that the environment variable holds; None if none is named. Raises InvalidInputError."""
    if variable is None:
        return None
    secret = os.environ.get(variable, "").strip()
    if not secret:
        raise InvalidInputError(f"The environment variable {variable} is not set or empty.")
    register_secret(secret)
    return SecretStr(secret)
