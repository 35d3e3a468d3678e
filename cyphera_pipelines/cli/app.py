"""The commands, as a table of contents."""

import typer

from cyphera_pipelines import __version__
from cyphera_pipelines.cli.loaded_when_named import group_of
from cyphera_pipelines.cli.services import set_debug

_PLACES = {
    "sync": "sync.sync",
    "status": "status.status",
    "verify": "verify.verify",
    "sessions": "sessions.sessions",
    "events": "sessions.events",
    "errors": "errors.errors",
    "audit": "audit.audit",
    "explain": "explain.explain",
    "report": "report.report",
    "export": "export_table.export_table",
    "export-workspace": "export.export",
    "dictionary": "dictionary.print_dictionary",
    "up": "up.up",
    "code-server": "dagster_commands.code_server",
    "ui": "dagster_commands.ui",
    "daemon": "dagster_commands.daemon",
    "api": "api.api",
    "openapi": "api.openapi",
    "demo": "demo.demo",
    "workspace": "workspace.app",
    "workspace allow-account": "allowed_accounts.allow",
    "workspace disallow-account": "allowed_accounts.disallow",
    "workspace allowed-accounts": "allowed_accounts.list_all",
    "source": "source.app",
    "source show": "source_show.show",
    "source update": "source_update.update",
    "source pause": "source_pause.pause",
    "source resume": "source_pause.resume",
    "schedule": "schedule.app",
    "alerts": "alerts.app",
    "alerts channels": "alert_channels.app",
    "alerts rules": "alert_rules.app",
    "provider": "provider.app",
    "write": "write.app",
    "key": "key.app",
    "keys": "keys.app",
    "analyst": "analyst.app",
    "webhook": "webhook.app",
    "session": "session.app",
    "figures": "figures.app",
    "db": "database.app",
    "sandbox": "sandbox.app",
}

app = typer.Typer(
    name="cyphera",
    help="Keep every workspace's payment data in Postgres, up to date, through Dagster.",
    epilog="Start with: cyphera demo. Then: cyphera up --sandbox, and open the Dagster UI.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    cls=group_of(_PLACES),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cyphera-pipelines {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks and debug logs.", envvar="CYPHERA_DEBUG"),
    _version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
    ),
) -> None:
    """Options of every command."""
    set_debug(debug)
