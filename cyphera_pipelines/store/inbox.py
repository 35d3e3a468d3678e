"""The inbox as those who operate it see it: what is in it, what failed, and trying again."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, func, literal, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError, InvalidInputError, NotFoundError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.model.webhooks import InboxCounts, InboxEvent, WebhookState
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import source_schedules as schedules
from cyphera_pipelines.store.tables import sync_cursors as cursors
from cyphera_pipelines.store.tables import webhook_events as inbox
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations
from cyphera_pipelines.store.webhooks import UNREADABLE

FIRST_RETRY_SECONDS = 60
LONGEST_RETRY_SECONDS = 6 * 3_600
"""Between two attempts: twice as long after each, up to this. Ten attempts take about a day."""
LONGEST_ERROR = 2_000
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

_is_unreadable = inbox.c.entity_type == UNREADABLE
_is_open = and_(inbox.c.handled_at.is_(None), inbox.c.entity_type != UNREADABLE)
_IS: Mapping[WebhookState, ColumnElement[bool]] = {
    WebhookState.UNREADABLE: _is_unreadable,
    WebhookState.APPLIED: and_(inbox.c.handled_at.is_not(None), inbox.c.entity_type != UNREADABLE),
    WebhookState.DEAD: and_(_is_open, inbox.c.dead_at.is_not(None)),
    WebhookState.FAILED: and_(_is_open, inbox.c.dead_at.is_(None), inbox.c.attempts > 0),
    WebhookState.WAITING: and_(_is_open, inbox.c.dead_at.is_(None), inbox.c.attempts == 0),
}
_state = case(*((condition, literal(state.value)) for state, condition in _IS.items()), else_=literal("waiting"))
_active = and_(
    configurations.c.workspace_id == inbox.c.workspace_id,
    configurations.c.provider_name == inbox.c.provider_name,
    configurations.c.is_test_mode != inbox.c.livemode,
    configurations.c.is_active,
    configurations.c.deleted_at.is_(None),
)
_is_of_active_source = exists(configurations.c.id).where(_active)
_is_paused = exists(schedules.c.workspace_id).where(
    schedules.c.workspace_id == inbox.c.workspace_id,
    schedules.c.provider_name == inbox.c.provider_name,
    schedules.c.paused_at.is_not(None),
)
_was_listed = exists(cursors.c.workspace_id).where(
    cursors.c.workspace_id == inbox.c.workspace_id,
    cursors.c.provider_name == inbox.c.provider_name,
    cursors.c.livemode == inbox.c.livemode,
    cursors.c.entity_type == inbox.c.entity_type,
    cursors.c.full_listing_at.is_not(None),
)
# In the order in which they have to be mended.
_waits_for = case(
    (or_(inbox.c.handled_at.is_not(None), _is_unreadable), None),
    (
        ~_is_of_active_source,
        "The workspace has no active configuration of this provider and mode: nothing applies it. It is forgotten in "
        "time unless one is connected again.",
    ),
    (inbox.c.dead_at.is_not(None), "It was given up: mend what its last error says, and replay it."),
    (_is_paused, "The source is paused: no sync starts until it is resumed."),
    (~_was_listed, "The source was never listed to its end: its first whole sync brings what this tells."),
    (
        and_(inbox.c.attempts > 0, inbox.c.retry_at > func.now()),
        "The source's next sync: none is started just for this before the time at which it is tried again.",
    ),
    else_="The source's next sync.",
)
_SHOWN = [
    inbox.c.external_id,
    inbox.c.provider_name,
    inbox.c.livemode,
    inbox.c.event_type,
    inbox.c.entity_type,
    _state.label("state"),
    inbox.c.received_at,
    inbox.c.handled_at,
    inbox.c.handled_by,
    inbox.c.attempts,
    func.coalesce(inbox.c.last_error, case((_is_unreadable, inbox.c.payload["problem"].astext))).label("last_error"),
    case((_is_unreadable, ErrorCode.WEBHOOK_UNREADABLE.value), else_=inbox.c.error_code).label("error_code"),
    inbox.c.retry_at,
    inbox.c.dead_at,
    _waits_for.label("waits_for"),
]


@dataclass(frozen=True)
class InboxFilter:
    """Which events are meant: all of these conditions that are given."""

    provider: str | None = None
    state: WebhookState | None = None
    entity: str | None = None
    event_type: str | None = None


@dataclass(frozen=True)
class Replayed:
    """What a replay did: how many events wait again, and for which providers' sources."""

    events: int
    providers: tuple[str, ...]


def page_inbox(
    database: Database, workspace_id: UUID, which: InboxFilter, *, limit: int, before: str | None = None
) -> tuple[list[InboxEvent], str | None]:
    """A page of the workspace's events, newest first, and the position of the next page; None at the end.

    Raises InvalidInputError for a position that no page gave.
    """
    statement = (
        select(*_SHOWN)
        .where(*_conditions(workspace_id, which))
        .order_by(inbox.c.received_at.desc(), inbox.c.external_id.desc())
    )
    if before is not None:
        moment, external_id = _read_position(before)
        statement = statement.where(tuple_(inbox.c.received_at, inbox.c.external_id) < tuple_(moment, external_id))
    with database.tenant(workspace_id) as connection:
        rows = connection.execute(statement.limit(limit + 1)).all()
    found = [_to_event(dict(row._mapping)) for row in rows[:limit]]
    has_more = len(rows) > limit
    return found, _position_of(found[-1]) if has_more else None


def find_inbox_event(
    database: Database, workspace_id: UUID, external_id: str, *, provider: str | None = None
) -> InboxEvent:
    """One of the workspace's events with what is kept of its payload, or NotFoundError."""
    statement = select(*_SHOWN, inbox.c.payload).where(inbox.c.workspace_id == workspace_id)
    statement = statement.where(inbox.c.external_id == external_id)
    if provider is not None:
        statement = statement.where(inbox.c.provider_name == provider)
    with database.tenant(workspace_id) as connection:
        row = connection.execute(statement.order_by(inbox.c.received_at.desc()).limit(1)).one_or_none()
    if row is None:
        raise no_such_event()
    values = dict(row._mapping)
    return _to_event(values, payload=values.pop("payload"))


def no_such_event() -> NotFoundError:
    """What is said of an event that is not there, or another workspace's."""
    return NotFoundError("There is no such webhook in this workspace; it may have been forgotten after its time.")


def count_inbox(database: Database, source: Source) -> InboxCounts:
    """The source's events by state."""
    columns = [func.count().filter(condition).label(state.value) for state, condition in _IS.items()]
    of_source = (
        inbox.c.workspace_id == source.workspace_id,
        inbox.c.provider_name == source.provider,
        inbox.c.livemode == (not source.is_test_mode),
    )
    failed = select(inbox.c.last_error, inbox.c.error_code).where(*of_source, _is_open, inbox.c.last_error.is_not(None))
    counts = select(
        *columns,
        func.count().filter(_IS[WebhookState.APPLIED], inbox.c.handled_by == "at_once").label("at_once"),
        func.min(inbox.c.received_at).filter(_is_open, inbox.c.dead_at.is_(None)).label("oldest"),
        func.max(inbox.c.handled_at).filter(_IS[WebhookState.APPLIED]).label("last_applied"),
    ).where(*of_source)
    with database.tenant(source.workspace_id) as connection:
        row = connection.execute(counts).one()
        newest = connection.execute(failed.order_by(inbox.c.received_at.desc()).limit(1)).one_or_none()
    return InboxCounts(
        applied_at_once=row.at_once,
        applied_by_sync=row.applied - row.at_once,
        waiting=row.waiting,
        failed=row.failed,
        dead=row.dead,
        unreadable=row.unreadable,
        oldest_unapplied_at=row.oldest,
        last_applied_at=row.last_applied,
        last_error=None if newest is None else newest.last_error,
        error_code=None if newest is None else newest.error_code,
    )


def replay_one(database: Database, workspace_id: UUID, external_id: str, *, provider: str | None = None) -> InboxEvent:
    """Let the source's next sync try this event again, as if for the first time, and ask for that sync out of turn.

    Raises NotFoundError, and ConflictError where there is nothing to try or nobody who could.
    """
    event = find_inbox_event(database, workspace_id, external_id, provider=provider)
    if event.state is WebhookState.APPLIED:
        raise ConflictError(f"{external_id} needs no replay: what it tells is in the tables.")
    if event.state is WebhookState.UNREADABLE:
        raise ConflictError(f"{external_id} cannot be replayed: nobody can tell what it says ({event.last_error}).")
    mine = (inbox.c.external_id == external_id, inbox.c.provider_name == event.provider_name)
    replayed = _replay(database, workspace_id, (*mine, inbox.c.livemode == event.livemode), subject=external_id)
    if not replayed.events:
        raise ConflictError(
            f"{external_id} cannot be replayed: the workspace has no active {event.provider_name} configuration of its "
            "mode. Connect the account again, then replay it."
        )
    return find_inbox_event(database, workspace_id, external_id, provider=event.provider_name)


def replay_all(database: Database, workspace_id: UUID, which: InboxFilter) -> Replayed:
    """The same for all events that failed or were given up, of sources that are active; of one state if that is given.

    Raises InvalidInputError for a state in which there is nothing to replay.
    """
    if which.state not in (None, WebhookState.FAILED, WebhookState.DEAD):
        raise InvalidInputError("Only events that are failed or dead can be replayed: leave the state out, or say one.")
    failed = or_(_IS[WebhookState.FAILED], _IS[WebhookState.DEAD])
    conditions = (*_conditions(workspace_id, which), failed)
    return _replay(database, workspace_id, conditions, subject=which.provider or "all")


def note_failed(
    database: Database,
    source: Source,
    entities: Collection[Entity],
    error: str,
    code: ErrorCode,
    *,
    livemode: bool,
    most: int,
) -> None:
    """Count an attempt that failed of all events of these entities; they are given up after `most`.

    Until then every sync tries them, but for a while none is started just for them.
    """
    attempts = inbox.c.attempts + 1
    wait = func.least(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * func.power(2, func.least(inbox.c.attempts, 20)))
    is_last = attempts >= most
    failed = (
        update(inbox)
        .where(*_of_source(source, entities, livemode=livemode), inbox.c.dead_at.is_(None))
        .values(
            attempts=attempts,
            last_error=storable(error[:LONGEST_ERROR]),
            error_code=code.value,
            retry_at=case((is_last, None), else_=func.now() + wait * text("interval '1 second'")),
            dead_at=case((is_last, func.now()), else_=None),
        )
    )
    with database.tenant(source.workspace_id) as connection:
        connection.execute(failed)


def settle_listed(
    database: Database, source: Source, entities: Collection[Entity], before: datetime, *, livemode: bool
) -> None:
    """Note that what came in before a listing of these entities began is in the tables: the listing has shown it."""
    settled = (
        update(inbox)
        .where(*_of_source(source, entities, livemode=livemode), inbox.c.received_at < before)
        .values(handled_at=func.now(), handled_by="sync", payload={}, payload_bytes=0, retry_at=None, dead_at=None)
    )
    with database.tenant(source.workspace_id) as connection:
        connection.execute(settled)


def _of_source(source: Source, entities: Collection[Entity], *, livemode: bool) -> tuple[ColumnElement[bool], ...]:
    return (
        inbox.c.workspace_id == source.workspace_id,
        inbox.c.provider_name == source.provider,
        inbox.c.livemode == livemode,
        inbox.c.entity_type.in_([entity.value for entity in entities]),
        inbox.c.handled_at.is_(None),
    )


def _replay(
    database: Database, workspace_id: UUID, conditions: Collection[ColumnElement[bool]], *, subject: str
) -> Replayed:
    again = (
        update(inbox)
        .where(inbox.c.workspace_id == workspace_id, inbox.c.handled_at.is_(None), *conditions, _is_of_active_source)
        .values(attempts=0, last_error=None, error_code=None, retry_at=None, dead_at=None)
        .returning(inbox.c.provider_name)
    )
    with database.tenant(workspace_id) as connection:
        told = list(connection.execute(again).scalars())
        providers = tuple(sorted(set(told)))
        for provider in providers:
            wanted = insert(schedules).values(workspace_id=workspace_id, provider_name=provider, wanted_at=func.now())
            connection.execute(
                wanted.on_conflict_do_update(
                    index_elements=["workspace_id", "provider_name"],
                    set_={"wanted_at": func.coalesce(schedules.c.wanted_at, func.now())},
                )
            )
        if told:
            details = {"events": len(told), "provider": ", ".join(providers)}
            record_action(connection, workspace_id, Action.WEBHOOKS_REPLAYED, subject, details)
    return Replayed(len(told), providers)


def _conditions(workspace_id: UUID, which: InboxFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [inbox.c.workspace_id == workspace_id]
    if which.provider is not None:
        conditions.append(inbox.c.provider_name == which.provider)
    if which.entity is not None:
        conditions.append(inbox.c.entity_type == which.entity)
    if which.event_type is not None:
        conditions.append(inbox.c.event_type == which.event_type)
    if which.state is not None:
        conditions.append(_IS[which.state])
    return conditions


def _position_of(event: InboxEvent) -> str:
    """The moment in microseconds since 1970, and the id."""
    return f"{(event.received_at - _EPOCH) // _MICROSECOND}~{event.id}"


def _read_position(before: str) -> tuple[datetime, str]:
    moment, _separator, external_id = before.partition("~")
    if not re.fullmatch("[0-9]{1,16}", moment) or not external_id or storable(external_id) != external_id:
        raise InvalidInputError("`before` is no position: give the `next` of the page before, as it is.")
    return _EPOCH + int(moment) * _MICROSECOND, external_id


def _to_event(values: dict[str, Any], *, payload: dict[str, Any] | None = None) -> InboxEvent:
    entity = None if values["entity_type"] == UNREADABLE else values["entity_type"]
    identity = {"id": values.pop("external_id"), "state": WebhookState(values["state"]), "entity_type": entity}
    return InboxEvent(**values | identity, payload=payload)


_UNAPPLIED = text(
    """
    SELECT count(*) FILTER (WHERE dead_at IS NULL AND attempts = 0) AS waiting,
        count(*) FILTER (WHERE dead_at IS NULL AND attempts > 0) AS failed,
        count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead,
        coalesce(extract(epoch FROM now() - min(received_at) FILTER (WHERE dead_at IS NULL)), 0)::float8 AS oldest
    FROM sync.webhook_events WHERE handled_at IS NULL
    """
)
_APPLIED = text(
    "SELECT coalesce(handled_by, 'sync') AS how, count(*) AS events FROM sync.webhook_events "
    "WHERE handled_at > now() - interval '1 hour' GROUP BY 1"
)
_UNROUTED = text("SELECT count(*) FROM sync.unrouted_webhook_events WHERE received_at > now() - interval '1 hour'")


@dataclass(frozen=True)
class InboxActivity:
    """All workspaces' events: those not in the tables yet, the oldest one's age in seconds, and the last hour's."""

    waiting: int = 0
    failed: int = 0
    dead: int = 0
    oldest: float = 0.0
    applied_at_once: int = 0
    applied_by_sync: int = 0
    unrouted: int = 0


def read_inbox_activity(database: Database) -> InboxActivity:
    """Count them: for an operator's metrics."""
    with database.control() as connection:
        unapplied = connection.execute(_UNAPPLIED).one()
        applied = {row.how: row.events for row in connection.execute(_APPLIED)}
        unrouted = connection.execute(_UNROUTED).scalar_one()
    return InboxActivity(
        waiting=unapplied.waiting,
        failed=unapplied.failed,
        dead=unapplied.dead,
        oldest=unapplied.oldest,
        applied_at_once=applied.get("at_once", 0),
        applied_by_sync=applied.get("sync", 0),
        unrouted=unrouted,
    )
