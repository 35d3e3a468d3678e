"""All sources at a glance: how many are in which state, and a page of them with what their last syncs came to.

Whatever is counted is found by the same condition, and how many statements that takes does not depend on how many
sources there are. Every statement runs in the transaction that it is given: a workspace's sees its own rows only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select, text, tuple_

from cyphera_pipelines.model.freshness import Freshness, SourceFreshness
from cyphera_pipelines.model.sessions import SessionStatus, SessionType
from cyphera_pipelines.store.freshness import (
    freshness_of_row,
    is_syncing,
    states_of_sources,
    to_freshness,
    with_source,
    worst_first,
)
from cyphera_pipelines.store.tables import source_schedules as schedules
from cyphera_pipelines.store.tables import verifications, webhook_events, workspaces
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations
from cyphera_pipelines.store.webhooks import UNREADABLE

SYNCS_SHOWN = 20


class FleetFilter(StrEnum):
    """Which sources are shown: of one state; or, whatever their state, those of which something else is the case."""

    FAILING = "failing"
    LATE = "late"
    NEVER_SYNCED = "never_synced"
    PAUSED = "paused"
    FRESH = "fresh"
    SYNCING = "syncing"
    """A sync is at work on it."""
    WEBHOOKS_DEAD = "webhooks_dead"
    """Webhooks of it were given up, and nobody has replayed them."""
    DRIFT = "drift"
    """The last verification of some entity left rows that differ from the provider's."""

    def condition(self) -> ColumnElement[bool]:
        """What the rows of `source_schedules` meet."""
        beside = _BESIDE_STATES.get(self)
        return freshness_of_row() == Freshness(self.value).value if beside is None else beside()


def _has_dead_webhooks() -> ColumnElement[bool]:
    # `attempts` is what the index is of: whatever was given up has some.
    dead = select(webhook_events.c.workspace_id, webhook_events.c.provider_name, webhook_events.c.livemode).where(
        webhook_events.c.handled_at.is_(None),
        webhook_events.c.attempts > 0,
        webhook_events.c.dead_at.is_not(None),
        webhook_events.c.entity_type != UNREADABLE,
    )
    return _SOURCE_IN_ITS_MODE.in_(dead)


def _differs() -> ColumnElement[bool]:
    differing = select(verifications.c.workspace_id, verifications.c.provider_name, verifications.c.livemode)
    return _SOURCE_IN_ITS_MODE.in_(differing.where(verifications.c.open_differences > 0))


_SOURCE_IN_ITS_MODE = tuple_(
    schedules.c.workspace_id, schedules.c.provider_name, configurations.c.is_test_mode.is_(False)
)
_BESIDE_STATES: Mapping[FleetFilter, Callable[[], ColumnElement[bool]]] = {
    FleetFilter.SYNCING: is_syncing,
    FleetFilter.WEBHOOKS_DEAD: _has_dead_webhooks,
    FleetFilter.DRIFT: _differs,
}
"""What may be the case of a source in any state."""


@dataclass(frozen=True)
class FleetCounts:
    """How many sources each filter finds, and how many there are: each has one state, whatever else is counted."""

    found: dict[FleetFilter, int]
    total: int


@dataclass(frozen=True)
class PastSync:
    """A session, as the bar of a source shows it."""

    id: UUID
    kind: SessionType
    status: SessionStatus
    created_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True)
class FleetRow:
    """A source: how fresh it is, what people call it, and its last syncs, the newest first.

    `last` is the newest that has ended, and `rows_changed` what it created, updated and deleted, child rows too; None
    where none has. `missing_objects` are not in the tables, `dead_webhooks` were given up, and `differing_rows` were
    found to be other than the provider's by the last verifications, which did not mend them.
    """

    workspace_id: UUID
    slug: str
    provider: str
    workspace_name: str
    label: str | None
    is_test_mode: bool
    freshness: SourceFreshness
    missing_objects: int
    dead_webhooks: int
    differing_rows: int
    syncs: tuple[PastSync, ...]
    last: PastSync | None
    rows_changed: int | None


Place = tuple[int, datetime, str, str]
"""Where a source stands among all: how bad its state is, since when, its slug and provider."""


@dataclass(frozen=True)
class FleetPage:
    """Some sources, worst first, and the place after which the next ones come; None where these are the last."""

    rows: list[FleetRow]
    next_after: Place | None


def count_fleet(connection: Connection, search: str = "") -> FleetCounts:
    """How many of the sources that the search finds are in which state."""
    beside = [condition().label(each.value) for each, condition in _BESIDE_STATES.items()]
    grouped: list[ColumnElement[Any]] = [freshness_of_row().label("state"), *beside]
    wanted: Select[Any] = select(*grouped, func.count().label("sources"))
    found, total = dict.fromkeys(FleetFilter, 0), 0
    for row in connection.execute(_matching(wanted, search).group_by(*grouped)):
        found[FleetFilter(row.state)] += row.sources
        total += row.sources
        for each in _BESIDE_STATES:
            found[each] += row.sources * row._mapping[each.value]
    return FleetCounts(found, total)


def page_fleet(
    connection: Connection, *, search: str = "", only: FleetFilter | None = None, after: Place | None = None, limit: int
) -> FleetPage:
    """Up to so many of the sources that the search and the filter find, from after that place on."""
    place = worst_first()
    wanted = states_of_sources().add_columns(
        workspaces.c.name.label("workspace_name"),
        configurations.c.label,
        configurations.c.is_test_mode,
        *(column.label(name) for column, name in zip(place, _PLACE, strict=True)),
    )
    wanted = _matching(wanted, search).order_by(*place).limit(limit + 1)
    if only is not None:
        wanted = wanted.where(only.condition())
    if after is not None:
        wanted = wanted.where(tuple_(*place) > tuple_(*after))
    found = connection.execute(wanted).all()
    rows, more = found[:limit], found[limit:]
    syncs = _past_syncs(connection, rows) if rows else {}
    next_after = tuple(rows[-1]._mapping[name] for name in _PLACE) if more else None
    return FleetPage([_to_row(row, syncs[row.workspace_id, row.provider_name]) for row in rows], next_after)


_PLACE = ("place_rank", "place_since", "place_slug", "place_provider")


def _matching(statement: Select[Any], search: str) -> Select[Any]:
    """Active sources whose key, workspace's name or label holds that text, whatever its case."""
    statement = with_source(statement, None)
    if not search:
        return statement
    # Not LIKE, to which some of a stranger's characters would mean something.
    texts = (workspaces.c.slug + ":" + schedules.c.provider_name, workspaces.c.name, configurations.c.label)
    return statement.where(or_(*(func.strpos(func.lower(each), search.lower()) > 0 for each in texts)))


def _past_syncs(connection: Connection, rows: Sequence[Row[Any]]) -> dict[tuple[UUID, str], Row[Any]]:
    """What the sessions of the rows' sources came to, by workspace and provider: one statement for all of them."""
    keys = {
        "workspaces": [row.workspace_id for row in rows],
        "providers": [row.provider_name for row in rows],
        "test_modes": [row.is_test_mode for row in rows],
        "shown": SYNCS_SHOWN,
        "unreadable": UNREADABLE,
    }
    return {(row.workspace_id, row.provider_name): row for row in connection.execute(_PAST_SYNCS, keys)}


def _to_row(row: Row[Any], past: Row[Any]) -> FleetRow:
    syncs = tuple(
        PastSync(UUID(each["id"]), SessionType(each["kind"]), SessionStatus(each["status"]), *_moments(each))
        for each in past.syncs or ()
    )
    return FleetRow(
        workspace_id=row.workspace_id,
        slug=row.slug,
        provider=row.provider_name,
        workspace_name=row.workspace_name,
        label=row.label,
        is_test_mode=row.is_test_mode,
        freshness=to_freshness(row),
        missing_objects=past.missing,
        dead_webhooks=past.dead,
        differing_rows=past.differing,
        syncs=syncs,
        last=next((each for each in syncs if each.id == past.last_id), None),
        rows_changed=None if past.entities is None else rows_changed(past.entities),
    )


def _moments(sync: dict[str, Any]) -> tuple[datetime, datetime | None]:
    ended = sync["completed_at"]
    return datetime.fromisoformat(sync["created_at"]), None if ended is None else datetime.fromisoformat(ended)


def rows_changed(entities: dict[str, Any]) -> int:
    """What a session created, updated and deleted, child rows too, by its progress per entity."""
    counted = 0
    for entity in entities.values():
        for counts in (entity, *(entity.get("children") or {}).values()):
            counted += sum(int(counts.get(name) or 0) for name in ("created", "updated", "deleted"))
    return counted


_PAST_SYNCS = text(
    """
    SELECT source.workspace_id, source.provider_name, past.syncs, last.id AS last_id, last.entities,
        coalesce(missing.objects, 0) AS missing, dead.events AS dead, coalesce(found.differing, 0) AS differing
    FROM unnest(CAST(:workspaces AS uuid[]), CAST(:providers AS text[]), CAST(:test_modes AS boolean[]))
        AS source (workspace_id, provider_name, is_test_mode)
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('id', id, 'kind', session_type, 'status', status,
            'created_at', created_at, 'completed_at', completed_at) ORDER BY created_at DESC) AS syncs
        FROM (
            SELECT id, session_type, status, created_at, completed_at FROM sync.payment_sync_sessions AS session
            WHERE session.workspace_id = source.workspace_id AND session.provider_name = source.provider_name
            ORDER BY created_at DESC LIMIT :shown
        ) AS newest
    ) AS past ON true
    LEFT JOIN LATERAL (
        SELECT id, progress->'entities' AS entities FROM (
            SELECT id, status, progress, created_at FROM sync.payment_sync_sessions AS session
            WHERE session.workspace_id = source.workspace_id AND session.provider_name = source.provider_name
            ORDER BY created_at DESC LIMIT :shown
        ) AS newest WHERE status NOT IN ('pending', 'running') ORDER BY created_at DESC LIMIT 1
    ) AS last ON true
    LEFT JOIN LATERAL (
        SELECT sum(objects) AS objects FROM sync.missing_objects AS missing
        WHERE missing.workspace_id = source.workspace_id AND missing.provider_name = source.provider_name
        AND missing.livemode = NOT source.is_test_mode
    ) AS missing ON true
    LEFT JOIN LATERAL (
        SELECT count(*) AS events FROM sync.webhook_events AS event
        WHERE event.workspace_id = source.workspace_id AND event.provider_name = source.provider_name
        AND event.livemode = NOT source.is_test_mode AND event.handled_at IS NULL AND event.attempts > 0
        AND event.dead_at IS NOT NULL AND event.entity_type <> :unreadable
    ) AS dead ON true
    LEFT JOIN LATERAL (
        SELECT sum(open_differences) AS differing FROM sync.verifications AS verified
        WHERE verified.workspace_id = source.workspace_id AND verified.provider_name = source.provider_name
        AND verified.livemode = NOT source.is_test_mode AND verified.open_differences > 0
    ) AS found ON true
    """
)
