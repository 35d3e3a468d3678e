"""`cyphera demo`: two workspaces' data arriving, then what can be done with it."""

import os
import shutil
from typing import Annotated

import typer
from pydantic import SecretStr

from cyphera_pipelines import local
from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import print_table
from cyphera_pipelines.cli.processes import Children, free_port, port_is_free, wait_for_port
from cyphera_pipelines.cli.sandbox import DEFAULT_PORT
from cyphera_pipelines.cli.sync import run_and_watch, show_result
from cyphera_pipelines.cli.up import sandbox_command
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.errors import CypheraError, NotFoundError
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.sandbox import SandboxAccount, demo_accounts
from cyphera_pipelines.security.encryption import Binding
from cyphera_pipelines.store.configurations import (
    create_configuration,
    find_active_configuration,
    read_credentials,
    remove_configuration,
)
from cyphera_pipelines.store.report import REVENUE_BY_MONTH, prove_isolation, revenue_by_month, rows_per_table
from cyphera_pipelines.store.workspaces import create_workspace, find_workspace

READY_WITHIN = 60.0
DEMO_WORKSPACES = ("acme", "globex")
# The sandbox has no rate limits unless it is given some.
NO_LIMITS = {"rate_limits": {"account": 10_000, "endpoint": 10_000}}
HOME_CONTENTS = ("postgres", "postgres.unfinished", "dagster", "encryption.key")


def demo(
    forget: Annotated[bool, typer.Option("--forget", help="Delete what the demo made, and do nothing else.")] = False,
) -> None:
    """Sync two workspaces from the sandbox through Dagster and show the result. Run again, it finds its data."""
    if forget:
        _forget()
        return
    accounts = dict(zip(DEMO_WORKSPACES, demo_accounts(), strict=True))
    port = DEFAULT_PORT if port_is_free(DEFAULT_PORT) else free_port()
    with Children() as children:
        typer.echo("1. A Stripe-shaped sandbox with two accounts starts on this machine.")
        process = children.start(sandbox_command(port, dict(os.environ)))
        wait_for_port(port, within=READY_WITHIN, process=process, name="The sandbox")
        typer.echo("2. Two workspaces connect one account each; their keys are stored encrypted.")
        workspaces = [_connect(slug, account, f"http://127.0.0.1:{port}") for slug, account in accounts.items()]
        typer.echo("3. Dagster syncs both, one run each.\n")
        for workspace in workspaces:
            session = run_and_watch(f"{workspace.slug}:stripe", SyncRequest())
            show_result(session)
            typer.echo("")
            if session.status is not SessionStatus.COMPLETED:
                raise CypheraError(f"The demo's sync of {workspace.slug} ended {session.status.value}.")
    _report(workspaces)


def _forget() -> None:
    """Stop the embedded server and delete the home's contents, whatever workspaces it holds."""
    settings = services.settings()
    if not settings.is_embedded:
        raise CypheraError("CYPHERA_DATABASE_URL names a database of your own: the demo does not delete from it.")
    local.stop(settings.home)
    for name in HOME_CONTENTS:
        path = settings.home / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    typer.echo(f"Deleted the embedded database, its key and Dagster's files under {settings.home}.")


def _connect(slug: str, account: SandboxAccount, base_url: str) -> Workspace:
    """Make the workspace and its source, unless an earlier demo made them and they still fit."""
    database, keyring = services.database(for_sync=True), services.keyring()
    try:
        workspace = find_workspace(database, slug)
    except NotFoundError:
        workspace = create_workspace(database, slug, account.name)
    wanted = Credentials(api_key=SecretStr(account.api_key), base_url=base_url)
    try:
        existing = find_active_configuration(database, workspace, "stripe")
    except NotFoundError:
        pass
    else:
        if read_credentials(database, keyring, Binding(workspace.id, existing.id, "stripe")) == wanted:
            return workspace
        remove_configuration(database, existing)
    create_configuration(database, keyring, workspace, "stripe", wanted, is_test_mode=True, metadata=NO_LIMITS)
    return workspace


def _report(workspaces: list[Workspace]) -> None:
    database = services.database()
    typer.echo("4. The tables, rows per workspace:\n")
    columns = ["TABLE", *(f"{workspace.slug}#" for workspace in workspaces)]
    print_table(
        columns, [(f"payments.{name}", *counts) for name, counts in rows_per_table(database, workspaces)], empty=""
    )
    proof = prove_isolation(database, workspaces[1])
    typer.echo(
        f"\n5. Isolation: 'SELECT count(*) FROM payments.customers' as {proof.workspace}, without any WHERE, sees "
        f"{proof.own:,} own rows and {proof.of_others} of others; the table holds {proof.in_table:,}."
    )
    typer.echo(
        f"\n6. What {workspaces[0].slug}'s analyst asks: revenue per month and currency.\n\n{REVENUE_BY_MONTH}\n"
    )
    revenue = revenue_by_month(database, workspaces[0])
    rows = [(row["month"], row["currency"], row["invoices"], int(row["paid_minor_units"])) for row in revenue]
    print_table(("MONTH", "CURRENCY", "INVOICES#", "PAID, MINOR UNITS#"), rows, empty="No invoice was paid yet.")
    activation = "" if shutil.which("cyphera") else "  . .venv/bin/activate              so that `cyphera` is found\n"
    typer.echo(
        f"\nGo on with:\n{activation}"
        "  cyphera up --sandbox              the Dagster UI at http://127.0.0.1:3000, with the sandbox behind it\n"
        '  psql "$(cyphera db url)"          SQL on the tables\n'
        "  cyphera sync acme stripe          sync again: unchanged rows are not rewritten\n"
        "  cyphera sessions                  what the syncs did\n"
        "  make clean-demo                   forget all of it"
    )
