"""`cyphera db`: the database itself."""

import sys

import typer

from cyphera_pipelines import local
from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.confirmation import YesOption, confirm
from cyphera_pipelines.cli.home_in_use import HomeUse, alone_in
from cyphera_pipelines.cli.output import print_error, print_table
from cyphera_pipelines.connection_budget import PEOPLE, SYNC_PROCESS, budget_of
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.store.database import upgrade_database
from cyphera_pipelines.store.retention import forget_old
from cyphera_pipelines.store.server_connections import read_server_connections, shortage

app = typer.Typer(help="The database: its schema and its address.", no_args_is_help=True)


@app.command("upgrade")
def upgrade() -> None:
    """Bring the schema to this program's version, making the databases if they are missing."""
    before, now = upgrade_database(services.settings())
    if before == now:
        typer.echo(f"The schema is up to date (revision {now}).")
    else:
        typer.echo(f"Upgraded the schema from {before or 'nothing'} to revision {now}.")
    warn_of_shortage()


@app.command("connections")
def connections() -> None:
    """Show how many connections the installation may need at most, and how many the server has for it."""
    budget, server = budget_of(services.settings()), read_server_connections(services.database().engine)
    print_table(
        ("WHAT", "CONNECTIONS#"),
        [
            (f"{budget.runs_at_once or 'any number of'} runs at once, {SYNC_PROCESS} each", budget.runs or None),
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
    forgotten = forget_old(services.database(), services.settings().retention(), within=float("inf"))
    typer.echo(f"Deleted {forgotten}.")


@app.command("url")
def url() -> None:
    """Print a URL that psql takes. An embedded server is started if need be and then kept running.

    Example: psql "$(cyphera db url)"
    """
    if services.settings().is_embedded:
        local.start(services.settings().home, keep_running=True)
    typer.echo(services.database().psql_url)


@app.command("stop")
def stop(yes: YesOption = False) -> None:
    """Stop the embedded server, even one that is kept running. Asks first where somebody uses it."""
    settings = services.settings()
    if not settings.is_embedded:
        raise CypheraError("CYPHERA_DATABASE_URL names a server of your own: it is not ours to stop.")
    if not settings.home.exists():
        typer.echo("The embedded Postgres was not running.")
        return
    with alone_in(settings.home, HomeUse("cyphera db stop")):
        if local.is_used_by_others(settings.home):
            in_use = "Other commands use the embedded Postgres, or somebody is connected to it."
            if not yes and not sys.stdin.isatty():
                raise CypheraError(f"{in_use} End them first, or stop it all the same: cyphera db stop --yes")
            confirm(f"{in_use} They lose their connections; syncs that are at work fail.", yes=yes)
        stopped = local.stop(settings.home)
    typer.echo("Stopped the embedded Postgres." if stopped else "The embedded Postgres was not running.")
