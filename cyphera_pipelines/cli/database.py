"""`cyphera db`: the database itself."""

import sys
from typing import Annotated

import typer

from cyphera_pipelines import local
from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.confirmation import YesOption, confirm
from cyphera_pipelines.cli.output import JSON_OPTION, print_error, print_json, print_table
from cyphera_pipelines.cli.running.home_in_use import HomeUse, alone_in
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.connection_budget import BATCH, PEOPLE, SYNC, SYNC_PROCESS, budget_of
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.store.access.administrator import AdministratorNeededError
from cyphera_pipelines.store.database import upgrade_database
from cyphera_pipelines.store.inspection import State, inspect_database
from cyphera_pipelines.store.retention import forget_old
from cyphera_pipelines.store.server_connections import read_server_connections, shortage

app = typer.Typer(help="The database: its schema and its address.", no_args_is_help=True)


@app.command("upgrade")
def upgrade() -> None:
    """Bring the schema to this program's version, making databases and roles if they are missing.

    Where the database user may not make something, the SQL for an administrator is printed to stdout, as in
    `cyphera db upgrade | psql -U postgres`, and nothing is changed.
    """
    try:
        with working("Upgrading the schema"):
            before, now = upgrade_database(services.settings())
    except AdministratorNeededError as error:
        for statement in error.statements:
            typer.echo(statement)
        raise CypheraError(
            f"{error.reason}. Let an administrator of the server execute the SQL above, then run again: "
            "cyphera db upgrade",
            code=ErrorCode.ADMINISTRATOR_NEEDED,
        ) from None
    if before == now:
        typer.echo(f"The schema is up to date (revision {now}).")
    else:
        typer.echo(f"Upgraded the schema from {before or 'nothing'} to revision {now}.")
    warn_of_shortage()


@app.command("check")
def check(as_json: bool = JSON_OPTION) -> None:
    """Look whether the database is as it has to be, and tell what to do where it is not. Changes nothing.

    Exit code 0: all is well. 1: something is wrong.
    """
    with working("Looking at the database"):
        findings = inspect_database(services.settings(), services.keyring)
    is_well = all(finding.state is State.OK for finding in findings)
    if as_json:
        print_json({"ok": is_well, "checks": findings})
    else:
        rows = [(finding.name, finding.state.value, finding.found) for finding in findings]
        print_table(("WHAT", "STATE", "FOUND"), rows, empty="")
        for finding in findings:
            if finding.remedy is not None:
                print_error(f"{finding.name}: {finding.remedy}")
    if not is_well:
        raise typer.Exit(1)


@app.command("connections")
def connections() -> None:
    """Show how many connections the installation may need at most, and how many the server has for it."""
    budget, server = budget_of(services.settings()), read_server_connections(services.database().engine)
    print_table(
        ("WHAT", "CONNECTIONS#"),
        [
            (
                f"{budget.runs_at_once or 'any number of'} runs at once, {SYNC_PROCESS} each, and {BATCH - SYNC} more "
                f"for each of {budget.batches} batches",
                budget.runs if budget.runs_at_once is not None else None,
            ),
            ("the HTTP API and Dagster's own processes", budget.services),
            ("kept for people and their commands", PEOPLE),
            ("needed at most", budget.needed if budget.runs_at_once is not None else None),
            ("the server gives us", server.usable),
            ("of these, others use now", server.used_by_others),
        ],
        empty="",
    )
    warn_of_shortage()


def warn_of_shortage() -> None:
    """Say on stderr if the server has fewer connections than may be needed, and what to do."""
    problem = shortage(budget_of(services.settings()), read_server_connections(services.database().engine))
    if problem is not None:
        print_error(problem)


@app.command("prune")
def prune() -> None:
    """Delete old sessions, events and webhooks at once; a sensor of Dagster's does it every ten minutes by itself.

    How old they have to be is told by CYPHERA_KEEP_SESSIONS_DAYS and its like.
    """
    database = services.database()
    with working("Deleting what is old"):
        forgotten = forget_old(database, services.settings().retention(), within=float("inf"))
    typer.echo(f"Deleted {forgotten}.")


@app.command("url")
def url(
    of_dagster: Annotated[bool, typer.Option("--dagster", help="That of the database of Dagster's storage.")] = False,
) -> None:
    """Print a URL that psql takes. An embedded server is started if need be and then kept running.

    Example: psql "$(cyphera db url)"
    """
    settings = services.settings()
    if not settings.is_embedded:
        own = settings.dagster_storage_url() if of_dagster else settings.application_url()
        typer.echo(own.set(drivername="postgresql").render_as_string(hide_password=False))
        return
    with working("Starting the embedded Postgres"):
        local.start(settings.home, keep_running=True)
    database = services.database()
    of_embedded = database.dagster_url.set(drivername="postgresql").render_as_string(hide_password=False)
    typer.echo(of_embedded if of_dagster else database.psql_url)


@app.command("stop")
def stop(yes: YesOption = False) -> None:
    """Stop the embedded server, even one that is kept running. Asks first where somebody uses it."""
    settings = services.settings()
    if not settings.is_embedded:
        raise CypheraError(
            "CYPHERA_DATABASE_URL names a server of your own: it is not ours to stop.", code=ErrorCode.CONFLICT
        )
    if not settings.home.exists():
        typer.echo("The embedded Postgres was not running.")
        return
    with alone_in(settings.home, HomeUse("cyphera db stop")):
        if local.is_used_by_others(settings.home):
            in_use = "Other commands use the embedded Postgres, or somebody is connected to it."
            if not yes and not sys.stdin.isatty():
                raise CypheraError(
                    f"{in_use} End them first, or stop it all the same: cyphera db stop --yes", code=ErrorCode.CONFLICT
                )
            confirm(f"{in_use} They lose their connections; syncs that are at work fail.", yes=yes)
        with working("Stopping the embedded Postgres"):
            stopped = local.stop(settings.home)
    typer.echo("Stopped the embedded Postgres." if stopped else "The embedded Postgres was not running.")
