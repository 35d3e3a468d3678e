"""All sources at a glance: how many are in which state, and a page of them with what their last syncs came to.

Whatever is counted is found by the same condition, and how many statements that takes does not depend on how many
sources there are. Every statement runs in the transaction that it is given: a workspace's sees its own rows only.
"""

from collections.abc import Sequence
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
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations
from cyphera_pipelines.store.tables import workspaces

SYNCS_SHOWN = 20


class FleetFilter(StrEnum):
    """Which sources are shown: of one state, or those that a sync is at work on, whatever their state."""

    FAILING = "failing"
    LATE = "late"
    NEVER_SYNCED = "never_synced"
    PAUSED = "paused"
    FRESH = "fresh"
    SYNCING = "syncing"

    def condition(self) -> ColumnElement[bool]:
        """What the rows of `source_schedules` meet."""
        return is_syncing() if self is FleetFilter.SYNCING else freshness_of_row() == Freshness(self.value).value


@dataclass(frozen=True)
class FleetCounts:
    """How many sources each filter finds, and how many there are. Each has one state, and may be syncing besides."""

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
    where none has. `missing_objects` are not in the tables.
    """

    workspace_id: UUID
    slug: str
    provider: str
    workspace_name: str
    label: str | None
    is_test_mode: bool
    freshness: SourceFreshness
    missing_objects: int
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
    state, at_work = freshness_of_row().label("state"), is_syncing().label("is_syncing")
    columns: list[ColumnElement[Any]] = [state, at_work, func.count().label("sources")]
    wanted: Select[Any] = select(*columns)
    found = dict.fromkeys(FleetFilter, 0)
    for row in connection.execute(_matching(wanted, search).group_by(state, at_work)):
        found[FleetFilter(row.state)] += row.sources
        found[FleetFilter.SYNCING] += row.sources * row.is_syncing
    return FleetCounts(found, sum(found[each] for each in FleetFilter if each is not FleetFilter.SYNCING))


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
        coalesce(missing.objects, 0) AS missing
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
    """
)
