"""What there is to be told of a source's tables at little cost, however large they are: rows, and the last change."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables.metadata import PAYMENTS_SCHEMA

COUNTED_TO = 10_000
"""Rows of one table that are counted one by one; of more than that the planner's estimate is told."""
SESSIONS_LOOKED_AT = 200
"""The newest sessions, among which the last one that changed a table is looked for."""


@dataclass(frozen=True)
class TableState:
    """One table of a source.

    `rows` are those of objects that still exist: exactly so many, or, where `is_estimate`, about so many by Postgres'
    statistics. `changed_at` is when a sync or a webhook last wrote a row, None if none of those that are kept did;
    `changed_by` is that session, None where it was a webhook. Writes through the API are not among them: which rows
    they changed is kept nowhere.
    """

    name: str
    entity: Entity
    is_child: bool
    rows: int
    is_estimate: bool
    changed_at: datetime | None
    changed_by: UUID | None


@dataclass(frozen=True)
class _Change:
    changed_at: datetime
    session_id: UUID | None


def read_tables(database: Database, source: Source) -> list[TableState]:
    """Every synced table of the source. Four statements, and no more than `COUNTED_TO` rows of each table are read."""
    values = {
        "workspace_id": source.workspace_id,
        "provider": source.provider,
        "livemode": not source.is_test_mode,
        "most": COUNTED_TO + 1,
        "sessions": SESSIONS_LOOKED_AT,
    }
    with database.tenant(source.workspace_id) as connection:
        counted = connection.execute(text(_COUNT), values).mappings().one()
        changes = _changes(connection, values)
    many = [name for name in SYNCED_TABLES if counted[name] > COUNTED_TO]
    estimated = _estimates(database, many, values) if many else {}
    return [
        TableState(
            name=name,
            entity=table.entity,
            is_child=table.is_child,
            rows=max(estimated[name], COUNTED_TO) if name in estimated else counted[name],
            is_estimate=name in estimated,
            changed_at=changes[name].changed_at if name in changes else None,
            changed_by=changes[name].session_id if name in changes else None,
        )
        for name, table in SYNCED_TABLES.items()
    ]


def _estimates(database: Database, names: list[str], values: dict[str, Any]) -> dict[str, int]:
    """What the planner expects each table to have of the source: it looks at statistics, and at no row."""
    # Not as the tenant: the policy says the workspace once more, and the planner would take that for another filter.
    statement = " UNION ALL ".join(f"SELECT 1 FROM {PAYMENTS_SCHEMA}.{name} WHERE {_OF_SOURCE}" for name in names)
    with database.control() as connection:
        plan = connection.execute(text(f"EXPLAIN (FORMAT JSON) {statement}"), values).scalar_one()
    found: dict[str, int] = {}
    _collect(plan[0]["Plan"], found)
    return {name: found.get(name, 0) for name in names}


def _collect(node: dict[str, Any], found: dict[str, int]) -> None:
    relation = node.get("Relation Name")
    if relation is not None:
        found[relation] = int(node["Plan Rows"])
    for child in node.get("Plans", []):
        _collect(child, found)


def _changes(connection: Connection, values: dict[str, Any]) -> dict[str, _Change]:
    """The last change of each table of which one is known."""
    found = {
        row.name: _Change(row.changed_at, row.session_id) for row in connection.execute(_CHANGED_BY_SESSIONS, values)
    }
    for row in connection.execute(_CHANGED_BY_WEBHOOKS, values):
        last = found.get(row.entity_type)
        if row.entity_type in SYNCED_TABLES and (last is None or last.changed_at < row.handled_at):
            found[row.entity_type] = _Change(row.handled_at, None)
    return found


_OF_SOURCE = "workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND deleted_at IS NULL"
_COUNT = "SELECT " + ", ".join(
    f"(SELECT count(*) FROM (SELECT FROM {PAYMENTS_SCHEMA}.{name} WHERE {_OF_SOURCE} LIMIT :most) AS counted) AS {name}"
    for name in SYNCED_TABLES
)
# Counts of an entity's own table stand beside those of its child tables, which are named.
_CHANGED_BY_SESSIONS = text(
    """
    SELECT DISTINCT ON (written.name) written.name, session.id AS session_id,
        coalesce(session.completed_at, session.updated_at) AS changed_at
    FROM (
        SELECT id, progress, completed_at, updated_at, created_at FROM sync.payment_sync_sessions
        WHERE workspace_id = :workspace_id AND provider_name = :provider ORDER BY created_at DESC LIMIT :sessions
    ) AS session
    CROSS JOIN LATERAL jsonb_each(session.progress->'entities') AS entity (name, counts)
    CROSS JOIN LATERAL (
        SELECT entity.name, entity.counts UNION ALL SELECT key, value FROM jsonb_each(entity.counts->'children')
    ) AS written (name, counts)
    WHERE coalesce((written.counts->>'created')::bigint, 0) + coalesce((written.counts->>'updated')::bigint, 0)
        + coalesce((written.counts->>'deleted')::bigint, 0) > 0
    ORDER BY written.name, session.created_at DESC
    """
)
_CHANGED_BY_WEBHOOKS = text(
    """
    SELECT entity_type, max(handled_at) AS handled_at FROM sync.webhook_events
    WHERE workspace_id = :workspace_id AND provider_name = :provider AND livemode = :livemode
      AND handled_by = 'at_once'
    GROUP BY entity_type
    """
)
