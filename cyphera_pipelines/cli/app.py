"""The commands, as a table of contents."""

import typer

from cyphera_pipelines import __version__
from cyphera_pipelines.cli import (
    alert_channels,
    alert_rules,
    alerts,
    allowed_accounts,
    analyst,
    api,
    audit,
    dagster_commands,
    database,
    demo,
    dictionary,
    errors,
    explain,
    export,
    export_table,
    figures,
    key,
    keys,
    provider,
    report,
    sandbox,
    schedule,
    session,
    sessions,
    source,
    source_pause,
    source_show,
    source_update,
    status,
    sync,
    up,
    verify,
    webhook,
    workspace,
    write,
)
from cyphera_pipelines.cli.services import set_debug

app = typer.Typer(
    name="cyphera",
    help="Keep every workspace's payment data in Postgres, up to date, through Dagster.",
    epilog="Start with: cyphera demo. Then: cyphera up --sandbox, and open the Dagster UI.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
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


app.add_typer(workspace.app, name="workspace")
workspace.app.command("allow-account")(allowed_accounts.allow)
workspace.app.command("disallow-account")(allowed_accounts.disallow)
workspace.app.command("allowed-accounts")(allowed_accounts.list_all)
app.add_typer(source.app, name="source")
source.app.command("show")(source_show.show)
source.app.command("update")(source_update.update)
source.app.command("pause")(source_pause.pause)
source.app.command("resume")(source_pause.resume)
app.add_typer(schedule.app, name="schedule")
app.add_typer(alerts.app, name="alerts")
alerts.app.add_typer(alert_channels.app, name="channels")
alerts.app.add_typer(alert_rules.app, name="rules")
app.add_typer(provider.app, name="provider")
app.add_typer(write.app, name="write")
app.add_typer(key.app, name="key")
app.add_typer(keys.app, name="keys")
app.add_typer(analyst.app, name="analyst")
app.command("sync")(sync.sync)
app.command("status")(status.status)
app.command("verify")(verify.verify)
app.add_typer(webhook.app, name="webhook")
app.add_typer(session.app, name="session")
app.command("sessions")(sessions.sessions)
app.command("events")(sessions.events)
app.command("errors")(errors.errors)
app.command("audit")(audit.audit)
app.command("explain")(explain.explain)
app.command("report")(report.report)
app.command("export")(export_table.export_table)
app.command("export-workspace")(export.export)
app.command("dictionary")(dictionary.print_dictionary)
app.add_typer(figures.app, name="figures")
app.add_typer(database.app, name="db")
app.command("up")(up.up)
app.command("code-server")(dagster_commands.code_server)
app.command("ui")(dagster_commands.ui)
app.command("daemon")(dagster_commands.daemon)
app.command("api")(api.api)
app.command("openapi")(api.openapi)
app.command("demo")(demo.demo)
app.add_typer(sandbox.app, name="sandbox")
