"""`cyphera alerts`: what is wrong with sources, and what became of telling."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from cyphera_pipelines.alerts.looking import look
from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_remarks, print_table
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.model.alert_channels import AlertDelivery, DeliveryState
from cyphera_pipelines.model.alerts import Alert, AlertState
from cyphera_pipelines.store.alert_channels import find_by_prefix
from cyphera_pipelines.store.alert_deliveries import list_deliveries
from cyphera_pipelines.store.alerts import list_alerts
from cyphera_pipelines.store.workspaces import find_workspace

WITHIN_SECONDS = 30.0

app = typer.Typer(
    help="Alerts: what is wrong with sources is told once, and so is its end. Nothing is sent without a channel: "
    "cyphera alerts channels add --help",
    no_args_is_help=True,
)

WorkspaceOption = Annotated[
    str | None, typer.Option("--workspace", metavar="SLUG", help="This workspace's; else the deployment's.")
]


@app.command("list")
def list_all(
    workspace: WorkspaceOption = None,
    past: Annotated[bool, typer.Option("--past", help="Those that ended, newest first.")] = False,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Also those that are not yet as old, or as many, as their rule asks for.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 100,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what is wrong, as the deployment's rules have it, or those of a workspace."""
    states = (AlertState.ENDED,) if past else (AlertState.OPEN, AlertState.RECOVERING)
    if waiting and not past:
        states = (*states, AlertState.WAITING)
    found = list_alerts(services.database(), workspace_id_of(workspace), states, limit=limit)
    if as_json:
        print_json([shown(each) for each in found])
        return
    rows = [
        (each.source, each.cause.value, each.state.value, ago(each.began_at), ago(each.ended_at) if past else "")
        for each in found
    ]
    empty = "No alert has ended yet." if past else "Nothing is wrong, as far as the last look told."
    print_table(("SOURCE", "CAUSE", "STATE", "SINCE", "ENDED" if past else ""), rows, empty=empty)
    print_remarks(
        (each.source, f"{each.sentence} {(each.all_clear if past else each.remedy) or ''}".strip()) for each in found
    )


@app.command("deliveries")
def deliveries(
    workspace: WorkspaceOption = None,
    channel: Annotated[str | None, typer.Option(help="To this channel only: its name, or how its id begins.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what was sent to which channel, and what became of it. Operators see everybody's."""
    channel_id = None if channel is None else find_by_prefix(services.database(), channel).id
    found = list_deliveries(services.database(), workspace_id_of(workspace), channel_id=channel_id, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            f"{each.created_at.astimezone(UTC):%Y-%m-%d %H:%M}",
            each.channel_name,
            each.kind.value,
            about(each),
            _became(each),
        )
        for each in found
    ]
    print_table(("WRITTEN (UTC)", "CHANNEL", "WHAT", "ABOUT", "STATE"), rows, empty="Nothing was sent yet.")
    print_remarks((each.channel_name, each.last_error) for each in found if each.last_error is not None)


@app.command("run-once")
def run_once(as_json: bool = JSON_OPTION) -> None:
    """Look at all sources, and send what is due: for deployments whose Dagster daemon does not do so every 30 seconds.

    Any number may run at once. One that is killed loses nothing: the next one sends what it had not written down.
    """
    with working("Looking at all sources"):
        found = look(services.database(), services.keyring(), services.settings(), within=WITHIN_SECONDS)
    if as_json:
        sent = found.sent
        print_json(
            {
                "written": found.written,
                "delivered": sent.delivered,
                "failed": sent.failed,
                "still_sending": sent.still_sending,
            }
        )
    else:
        typer.echo(f"{found}.")


def workspace_id_of(slug: str | None) -> UUID | None:
    """The id of the workspace; None stands for the deployment. Raises NotFoundError."""
    return None if slug is None else find_workspace(services.database(), slug).id


def shown(alert: Alert) -> dict[str, object]:
    """The alert as programs get it."""
    return {
        "id": alert.id,
        "source": alert.source,
        "workspace": alert.workspace_slug,
        "provider": alert.provider_name,
        "cause": alert.cause,
        "error_code": alert.error_code,
        "state": alert.state,
        "times": alert.times,
        "began_at": alert.began_at,
        "raised_at": alert.raised_at,
        "recovered_at": alert.recovered_at,
        "ended_at": alert.ended_at,
        "ended_because": alert.ended_because,
        "sentence": alert.sentence,
        "remedy": alert.remedy,
    }


def about(delivery: AlertDelivery) -> str | None:
    """Which source, or how many."""
    if delivery.cause is None:
        return None
    what = delivery.source or f"{delivery.sources:,} sources of {delivery.provider_name}"
    return f"{what}: {delivery.cause}"


def _became(delivery: AlertDelivery) -> str:
    match delivery.state:
        case DeliveryState.DELIVERED:
            return f"delivered {ago(delivery.delivered_at)}"
        case DeliveryState.GIVEN_UP:
            return f"given up after {delivery.attempts} attempts"
        case _:
            waits = datetime.now(UTC) - delivery.created_at
            return f"waiting for {int(waits.total_seconds()):,} s, {delivery.attempts} attempts"
