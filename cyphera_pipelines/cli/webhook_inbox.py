"""`cyphera webhook list|inspect|replay`: what came in, what became of it, and trying again."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_remarks, print_table, with_code
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.webhooks import WebhookState
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.secrets import redact_values
from cyphera_pipelines.store.inbox import InboxFilter, find_inbox_event, page_inbox, replay_all, replay_one
from cyphera_pipelines.store.unrouted_webhooks import list_unrouted
from cyphera_pipelines.store.workspaces import find_workspace

EventArgument = Annotated[str, typer.Argument(help="The provider's id of the event, as in evt_...")]
ProviderOption = Annotated[str | None, typer.Option("--provider", help="Only this provider's, as in 'stripe'.")]
EntityOption = Annotated[Entity | None, typer.Option("--entity", help="Only events about this entity.")]


def list_all(
    slug: SlugArgument,
    provider: ProviderOption = None,
    state: Annotated[WebhookState | None, typer.Option("--state", help="Only events in this state.")] = None,
    entity: EntityOption = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only this type, as in invoice.paid.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    before: Annotated[str | None, typer.Option(help="Go on where the list before ended: what it said.")] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show the webhooks that came in for a workspace, newest first, and what became of each."""
    workspace = find_workspace(services.database(), slug)
    which = InboxFilter(_known(provider), state, None if entity is None else entity.value, event_type)
    found, following = page_inbox(services.database(), workspace.id, which, limit=limit, before=before)
    if as_json:
        print_json({"webhooks": found, "next": following})
        return
    rows = [
        (each.id, each.event_type, each.provider_name, ago(each.received_at), each.state.value, each.attempts or None)
        for each in found
    ]
    print_table(("EVENT", "TYPE", "PROVIDER", "RECEIVED", "STATE", "ATTEMPTS#"), rows, empty="No such webhooks.")
    print_remarks((each.id, with_code(each.last_error, each.error_code)) for each in found if each.last_error)
    if following is not None:
        typer.echo(f"There are more: add --before '{following}'")


def inspect(
    slug: SlugArgument, event: EventArgument, provider: ProviderOption = None, as_json: bool = JSON_OPTION
) -> None:
    """Show one webhook: what became of it, what it waits for, and what is kept of it until it is applied."""
    workspace = find_workspace(services.database(), slug)
    found = find_inbox_event(services.database(), workspace.id, event, provider=_known(provider))
    if as_json:
        print_json(found)
        return
    rows = [
        ("type", found.event_type),
        ("provider", found.provider_name),
        ("mode", "live" if found.livemode else "test"),
        ("about", found.entity_type),
        ("state", found.state.value),
        ("received", ago(found.received_at)),
        ("applied", f"{ago(found.handled_at)}, {_how(found.handled_by)}" if found.handled_at else None),
        ("attempts that failed", found.attempts),
        ("last error", found.last_error and with_code(found.last_error, found.error_code)),
        ("tried again from", found.retry_at and f"{found.retry_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("given up", ago(found.dead_at) if found.dead_at else None),
        ("waits for", found.waits_for),
    ]
    print_table(("WEBHOOK", found.id), rows, empty="")
    if found.payload:
        print_json(redact_values(found.payload))


def replay(
    slug: SlugArgument,
    event: Annotated[str | None, typer.Argument(help="The provider's id of the event, as in evt_...")] = None,
    failed: Annotated[bool, typer.Option("--all", help="All that failed or were given up.")] = False,
    provider: ProviderOption = None,
    entity: EntityOption = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Let the source's next sync try a webhook again, or all that failed or were given up, and ask for that sync now.

    Mend first what `cyphera webhook inspect` shows as the last error. What is applied needs no replay.
    """
    workspace = find_workspace(services.database(), slug)
    if (event is None) is not failed:
        raise InvalidInputError("Say which: the id of one event, or --all for all that failed or were given up.")
    if event is not None:
        found = replay_one(services.database(), workspace.id, event, provider=_known(provider))
        if as_json:
            print_json(found)
        else:
            typer.echo(f"{found.id} is tried again. It waits for: {found.waits_for}")
        return
    which = InboxFilter(_known(provider), entity=None if entity is None else entity.value)
    done = replay_all(services.database(), workspace.id, which)
    if as_json:
        print_json(done)
    elif done.events:
        sources = ", ".join(f"{slug}:{name}" for name in done.providers)
        webhooks = counted(done.events, "webhook", "are")
        typer.echo(f"{webhooks} tried again by the next sync of {sources}, which is wanted now.")
    else:
        typer.echo("No webhooks of an active source failed or were given up.")


def unrouted(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what came to the platform's address and was given to no workspace, and why. What it told is not kept."""
    found = list_unrouted(services.database(), limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (each.id, each.event_type, each.account_id, _mode(each.livemode), ago(each.received_at), each.reason)
        for each in found
    ]
    columns = ("EVENT", "TYPE", "ACCOUNT", "MODE", "RECEIVED", "WHY")
    print_table(columns, rows, empty="Everything that came to the platform's address was given to a workspace.")


def _mode(livemode: bool | None) -> str | None:
    return None if livemode is None else "live" if livemode else "test"


def _known(provider: str | None) -> str | None:
    return None if provider is None else find_provider(provider).name


def _how(handled_by: str | None) -> str:
    return "as it came in" if handled_by == "at_once" else "by a sync"
