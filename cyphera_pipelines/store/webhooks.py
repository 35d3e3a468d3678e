"""The inbox of webhooks: what a provider told us by itself, kept once each until it is in the tables."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, func, or_, select, update

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import webhook_events as inbox
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations

MOST_AT_ONCE = 1_000
UNREADABLE = "unreadable"
"""Stands for the entity of events of which nobody can tell what they are about."""
REFUSAL_IS_NOTED_EVERY = timedelta(minutes=1)
IS_DUE = and_(inbox.c.dead_at.is_(None), or_(inbox.c.retry_at.is_(None), inbox.c.retry_at <= func.now()))
"""Whether a sync may be started just for the event: it was not given up, and did not fail a short while ago."""


@dataclass(frozen=True)
class WebhookTarget:
    """The active configuration that a webhook is addressed to.

    `updated_at` is when it was last changed; None leaves that unchecked.
    """

    workspace_id: UUID
    configuration_id: UUID
    provider: str
    is_test_mode: bool
    connected_account_id: str | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True)
class ReceivedWebhook:
    """An event in the inbox that is not handled yet, as it came in."""

    external_id: str
    entity: Entity
    payload: dict[str, Any]


def find_webhook_target(database: Database, provider: str, configuration_id: UUID) -> WebhookTarget | None:
    """The active configuration with that id, whatever its workspace: whoever sends a webhook names none."""
    shown = ("workspace_id", "is_test_mode", "connected_account_id", "updated_at")
    statement = select(*(configurations.c[name] for name in shown)).where(
        configurations.c.id == configuration_id,
        configurations.c.provider_name == provider,
        configurations.c.is_active,
        configurations.c.deleted_at.is_(None),
    )
    with database.control() as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    return WebhookTarget(
        row.workspace_id,
        configuration_id,
        provider,
        row.is_test_mode,
        connected_account_id=row.connected_account_id,
        updated_at=row.updated_at,
    )


def note_refused_webhook(database: Database, target: WebhookTarget, reason: str) -> None:
    """Show on the configuration that an event was refused just now, and why; once a minute at most."""
    statement = (
        update(configurations)
        .where(
            configurations.c.id == target.configuration_id,
            func.coalesce(configurations.c.last_webhook_refused_at, "-infinity") < func.now() - REFUSAL_IS_NOTED_EVERY,
        )
        .values(last_webhook_refused_at=func.now(), last_webhook_refusal=storable(reason))
    )
    with database.tenant(target.workspace_id) as connection:
        connection.execute(statement)


def count_waiting(database: Database, source: Source) -> int:
    """How many of the source's events are worth a sync now: not in the tables, not given up, not tried just now."""
    statement = select(func.count()).where(
        inbox.c.workspace_id == source.workspace_id,
        inbox.c.provider_name == source.provider,
        inbox.c.livemode == (not source.is_test_mode),
        inbox.c.handled_at.is_(None),
        IS_DUE,
    )
    with database.tenant(source.workspace_id) as connection:
        return connection.execute(statement).scalar_one()


def list_unhandled(
    database: Database, source: Source, entities: Collection[Entity], *, livemode: bool, offset: int = 0
) -> list[ReceivedWebhook]:
    """The source's events that are not in the tables and were not given up, oldest first, `MOST_AT_ONCE` at a time."""
    statement = (
        select(inbox.c.external_id, inbox.c.entity_type, inbox.c.payload)
        .where(
            inbox.c.workspace_id == source.workspace_id,
            inbox.c.provider_name == source.provider,
            inbox.c.livemode == livemode,
            inbox.c.entity_type.in_([entity.value for entity in entities]),
            inbox.c.handled_at.is_(None),
            inbox.c.dead_at.is_(None),
        )
        .order_by(inbox.c.received_at, inbox.c.external_id)
        .limit(MOST_AT_ONCE)
        .offset(offset)
    )
    with database.tenant(source.workspace_id) as connection:
        return [_to_webhook(row) for row in connection.execute(statement)]


def list_unreadable(database: Database, source: Source, *, livemode: bool) -> dict[str, str]:
    """The source's events that nobody can read and no sync has named yet: their ids, and what is wrong with each."""
    statement = (
        select(inbox.c.external_id, inbox.c.payload["problem"].astext)
        .where(
            inbox.c.workspace_id == source.workspace_id,
            inbox.c.provider_name == source.provider,
            inbox.c.livemode == livemode,
            inbox.c.entity_type == UNREADABLE,
            inbox.c.handled_at.is_(None),
        )
        .order_by(inbox.c.received_at)
        .limit(MOST_AT_ONCE)
    )
    with database.tenant(source.workspace_id) as connection:
        return {event_id: problem or "nobody knows" for event_id, problem in connection.execute(statement)}


def mark_handled(
    database: Database, source: Source, external_ids: Collection[str], *, livemode: bool, keeps_content: bool = False
) -> None:
    """Note that what these events tell is in the tables, or that nobody can tell, which `keeps_content` for people.

    Their ids are kept, lest they be taken for new.
    """
    emptied = {} if keeps_content else {"payload": {}, "payload_bytes": 0}
    of_source = (
        inbox.c.workspace_id == source.workspace_id,
        inbox.c.provider_name == source.provider,
        inbox.c.livemode == livemode,
    )
    handled = (
        update(inbox)
        .where(*of_source, inbox.c.external_id.in_(external_ids))
        .values(handled_at=func.now(), handled_by="sync", retry_at=None, dead_at=None, **emptied)
    )
    with database.tenant(source.workspace_id) as connection:
        connection.execute(handled)


def _to_webhook(row: Row[Any, Any, Any]) -> ReceivedWebhook:
    return ReceivedWebhook(row.external_id, Entity(row.entity_type), row.payload)
