"""`cyphera demo`: three workspaces' data arriving, by syncs and by webhooks, then what can be done with it."""

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import httpx
import typer
from pydantic import SecretStr

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.confirmation import YesOption
from cyphera_pipelines.cli.demo_webhooks import show_webhooks
from cyphera_pipelines.cli.forget_demo import forget_demo
from cyphera_pipelines.cli.output import print_table
from cyphera_pipelines.cli.running.ports import free_port, port_is_free, wait_until_listening
from cyphera_pipelines.cli.running.processes import Children
from cyphera_pipelines.cli.sandbox import accounts_of_home, sites_of_home
from cyphera_pipelines.cli.sandbox_port import DEFAULT_PORT
from cyphera_pipelines.cli.sync import run_and_watch, show_result
from cyphera_pipelines.cli.up import sandbox_command
from cyphera_pipelines.model.configuration import Configuration, Credentials
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError, CypheraError, NotFoundError
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.encryption import Binding
from cyphera_pipelines.store.configurations import (
    ConfigurationChange,
    change_configuration,
    create_configuration,
    find_active_configuration,
    read_credentials,
)
from cyphera_pipelines.store.report import REVENUE_BY_MONTH, prove_isolation, revenue_by_month, rows_per_table
from cyphera_pipelines.store.workspaces import create_workspace, find_workspace

if TYPE_CHECKING:
    from cyphera_pipelines.sandbox import ChargebeeSite, SandboxAccount

READY_WITHIN = 60.0
DEMO_WORKSPACES = ("demo-acme", "demo-globex", "demo-initech")
# The sandbox has no rate limits unless it is given some.
NO_LIMITS = {"rate_limits": {"account": 10_000, "endpoint": 10_000}}
ELSEWHERE = "The demo leaves it alone; it can run in a home of its own: CYPHERA_HOME=/tmp/cyphera-demo cyphera demo"


@dataclass(frozen=True)
class DemoSource:
    """What a workspace of the demo connects: a Stripe account or a Chargebee site of the sandbox."""

    slug: str
    provider: str
    name: str
    api_key: str
    account_id: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The source's partition key."""
        return f"{self.slug}:{self.provider}"


def demo_sources(home: Path) -> list[DemoSource]:
    """The sources of the demo's workspaces, in their order."""
    accounts: list[SandboxAccount] = accounts_of_home(home)[:2]
    sites: list[ChargebeeSite] = sites_of_home(home)[:1]
    acme, globex, initech = DEMO_WORKSPACES
    found = [
        DemoSource(slug, "stripe", account.name, account.api_key, account.account_id)
        for slug, account in zip((acme, globex), accounts, strict=True)
    ]
    site = sites[0]
    return [*found, DemoSource(initech, "chargebee", site.name, site.api_key, site.site, {"site": site.site})]


def demo(
    forget: Annotated[bool, typer.Option("--forget", help="Delete what the demo made, and do nothing else.")] = False,
    yes: YesOption = False,
) -> None:
    """Sync three workspaces from the sandbox through Dagster and show the result. Run again, it finds its data."""
    settings = services.settings()
    if not settings.is_embedded:
        raise CypheraError(
            "CYPHERA_DATABASE_URL names a database of your own: the demo neither writes to it nor deletes from it. "
            "Unset it to run the demo with the embedded database.",
            code=ErrorCode.NO_DEMO_HERE,
        )
    if forget:
        forget_demo(settings, yes=yes)
        return
    sources = demo_sources(settings.home)
    for source in sources:
        _expect_to_be_the_demos(source)
    with Children() as children:
        port = _serve_sandbox(children, sources)
        typer.echo(
            "2. Three workspaces connect one account each, two at Stripe and one at Chargebee; their keys are stored "
            "encrypted."
        )
        workspaces = [_connect(source, f"http://127.0.0.1:{port}") for source in sources]
        typer.echo("3. Dagster syncs all three into the same tables, one run each.\n")
        for source in sources:
            session = run_and_watch(source.key, SyncRequest())
            show_result(session)
            typer.echo("")
            if session.status is not SessionStatus.COMPLETED:
                raise CypheraError(
                    f"The demo's sync of {source.slug} ended {session.status.value}.",
                    code=ErrorCode(session.error_code or ErrorCode.UNEXPECTED),
                )
        show_webhooks(workspaces[0], sources[0].account_id, port)
    _report(workspaces)
    _say_how_to_go_on(port)


def _serve_sandbox(children: Children, sources: list[DemoSource]) -> int:
    """The port of a sandbox with the demo's accounts: of one that runs already, or of one that ends with the demo."""
    if port_is_free(DEFAULT_PORT):
        port = DEFAULT_PORT
    elif all(_is_served(source, DEFAULT_PORT) for source in sources):
        typer.echo(f"1. A sandbox with the demo's accounts runs already, at port {DEFAULT_PORT}.")
        return DEFAULT_PORT
    else:
        port = free_port()
    typer.echo("1. A sandbox shaped as Stripe and Chargebee starts on this machine.")
    process = children.start(sandbox_command(port, dict(os.environ)))
    wait_until_listening(port, within=READY_WITHIN, process=process, name="The sandbox")
    return port


def _is_served(source: DemoSource, port: int) -> bool:
    path = "/v1/account" if source.provider == "stripe" else "/api/v2/configurations"
    try:
        with httpx.Client(timeout=5.0, trust_env=False) as client:
            answer = client.get(f"http://127.0.0.1:{port}{path}", auth=(source.api_key, "")).json()
    except (httpx.HTTPError, ValueError):
        return False
    if not isinstance(answer, dict):
        return False
    names = [answer.get("id"), *(each.get("domain") for each in answer.get("configurations", ()))]
    return source.account_id in names


def _expect_to_be_the_demos(source: DemoSource) -> None:
    """Raise ConflictError if somebody else made the workspace of that name, or connected another account to it."""
    try:
        workspace = find_workspace(services.database(for_sync=True), source.slug)
    except NotFoundError:
        return
    if not workspace.is_demo:
        raise ConflictError(
            f"There is a workspace {source.slug} that the demo did not make. {ELSEWHERE}", code=ErrorCode.NO_DEMO_HERE
        )
    found = _configured(workspace, source.provider)
    if found is not None and found[1].api_key.get_secret_value() != source.api_key:
        raise ConflictError(
            f"Somebody connected {source.key} to another account than the demo's. {ELSEWHERE}",
            code=ErrorCode.NO_DEMO_HERE,
        )


def _configured(workspace: Workspace, provider: str) -> tuple[Configuration, Credentials] | None:
    database = services.database()
    try:
        configuration = find_active_configuration(database, workspace, provider)
    except NotFoundError:
        return None
    binding = Binding(workspace.id, configuration.id, provider)
    return configuration, read_credentials(database, services.keyring(), binding)


def _connect(source: DemoSource, base_url: str) -> Workspace:
    """Make the workspace and its source, unless an earlier demo made them; then they only follow the sandbox."""
    database, keyring = services.database(), services.keyring()
    try:
        workspace = find_workspace(database, source.slug)
    except NotFoundError:
        workspace = create_workspace(database, source.slug, source.name, is_demo=True)
    found = _configured(workspace, source.provider)
    if found is None:
        credentials = Credentials(api_key=SecretStr(source.api_key), base_url=base_url, options=source.options)
        create_configuration(
            database, keyring, workspace, source.provider, credentials, is_test_mode=True, metadata=NO_LIMITS
        )
    elif found[1].base_url != base_url:
        moved = ConfigurationChange({}, found[1].model_copy(update={"base_url": base_url}))
        change_configuration(database, keyring, workspace.id, found[0].id, lambda _present, _open: moved)
    return workspace


def _report(workspaces: list[Workspace]) -> None:
    database = services.database()
    typer.echo("5. The tables, rows per workspace:\n")
    columns = ["TABLE", *(f"{workspace.slug}#" for workspace in workspaces)]
    print_table(
        columns, [(f"payments.{name}", *counts) for name, counts in rows_per_table(database, workspaces)], empty=""
    )
    proof = prove_isolation(database, workspaces[1])
    typer.echo(
        f"\n6. Isolation: 'SELECT count(*) FROM payments.customers' as {proof.workspace}, without any WHERE, sees "
        f"{proof.own:,} own rows and {proof.of_others} of others; the table holds {proof.in_table:,}."
    )
    typer.echo(
        f"\n7. What {workspaces[0].slug}'s analyst asks: revenue per month and currency.\n\n{REVENUE_BY_MONTH}\n"
    )
    revenue = revenue_by_month(database, workspaces[0])
    rows = [(row["month"], row["currency"], row["invoices"], int(row["paid_minor_units"])) for row in revenue]
    print_table(("MONTH", "CURRENCY", "INVOICES#", "PAID, MINOR UNITS#"), rows, empty="No invoice was paid yet.")


def _say_how_to_go_on(port: int) -> None:
    up = "cyphera up --sandbox" if port == DEFAULT_PORT else f"cyphera up --sandbox --sandbox-port {port}"
    steps = [
        (up, "the Dagster UI at http://127.0.0.1:3000, with the sandbox behind it"),
        ('psql "$(cyphera db url)"', "SQL on the tables"),
        (f"cyphera sync {DEMO_WORKSPACES[0]} stripe", "again, while that runs: unchanged rows are not rewritten"),
        ("cyphera sessions", "what the syncs did"),
        ("cyphera demo --forget", "delete all of it"),
    ]
    activate = Path(sys.executable).with_name("activate")
    if not shutil.which("cyphera") and activate.is_file():
        steps.insert(0, (f". {os.path.relpath(activate)}", "so that `cyphera` is found"))
    typer.echo("\nGo on with:\n" + "\n".join(f"  {command:<32}  {what}" for command, what in steps))
