"""What webhooks that are applied at once read and write: all of one transaction, that of the workspace's own role."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.webhooks import UNREADABLE, WebhookTarget

LOCKS_WAIT_MS = 300
"""A sync may hold rows for as long as a page takes. Less than Postgres' `deadlock_timeout`, so that where a webhook and
a sync wait for each other, the webhook gives way."""

STATEMENTS_TAKE_MS = 3_000

NOTED_EVERY = "interval '10 seconds'"


@dataclass(frozen=True)
class TargetState:
    """What is known of a webhook's configuration, which nobody removes or changes until the transaction ends.

    `leaves_rows`: a session of the source waits or runs that leaves rows as they are. `was_listed`: one of its entities
    was listed to its end. `is_note_due`: nobody has noted for a while when the last webhook came. `known` are the
    events, of those asked for, that the inbox has already, handled or not.
    """

    slug: str
    updated_at: datetime
    store_raw: bool
    is_paused: bool
    leaves_rows: bool
    was_listed: bool
    is_note_due: bool
    known: frozenset[str]


@dataclass(frozen=True)
class TableState:
    """From when on an entity's table does not hold everything yet, in seconds since 1970; None if it never was listed.

    `leaves_rows`: its last listing leaves rows as they are, and is not over. `owed` are objects that a sync has to ask
    for, `missing` those, of the ones that were asked for, that are noted as missing from the table.
    """

    since: float | None
    leaves_rows: bool
    owed: frozenset[str]
    missing: frozenset[str]


@dataclass(frozen=True)
class Entry:
    """An event as the inbox keeps it. Without an entity it is unreadable; what was applied keeps no payload."""

    external_id: str
    kind: str
    entity: Entity | None
    payload: Mapping[str, Any]
    is_applied: bool = False

    def as_json(self) -> dict[str, Any]:
        """The row's own columns."""
        payload = json.dumps({} if self.is_applied else storable(self.payload))
        return {
            "external_id": self.external_id,
            "event_type": storable(self.kind),
            "entity_type": UNREADABLE if self.entity is None else self.entity.value,
            "payload": payload,
            "payload_bytes": 0 if self.is_applied else len(payload),
            "is_applied": self.is_applied,
        }


def hold_target(connection: Connection, target: WebhookTarget, external_ids: Collection[str]) -> TargetState | None:
    """The state of the configuration, which is held; None if it is not there any more, or not active.

    From here on no statement of the transaction waits for long: the provider waits for the answer. Much is asked for at
    once: on its way to a server and back a statement takes longer than it takes there.
    """
    parameters = {**_of_source(target), "id": target.configuration_id, "external_ids": list(external_ids)}
    row = connection.execute(_HOLD_TARGET, parameters).one_or_none()
    return None if row is None else TargetState(**{**row._mapping, "known": frozenset(row.known)})


def hold_tables(
    connection: Connection, target: WebhookTarget, key_digest: bytes, object_ids: Collection[str]
) -> dict[Entity, TableState]:
    """The state of the source's tables, of those that were listed from the account that this key opens.

    Until the transaction ends no other account takes them over, and no other transaction holds them so.
    """
    parameters = {**_of_source(target), "key_digest": key_digest, "object_ids": list(object_ids)}
    rows = connection.execute(_HOLD_TABLES, parameters)
    return {Entity(row.entity_type): _to_table(row) for row in rows if row.is_own_account and row.entity_type}


def _to_table(row: Row[Any]) -> TableState:
    known = [moment for moment in (row.since, row.listed_since) if moment is not None]
    leaves_rows = row.strategy is not None and row.strategy != ConflictStrategy.OVERWRITE.value
    return TableState(max(known, default=None), leaves_rows, frozenset(row.owed), frozenset(row.missing))


def insert_entries(connection: Connection, target: WebhookTarget, entries: Sequence[Entry]) -> set[str]:
    """Put the events into the inbox, and return the ids of those that were not there."""
    rows = sorted((entry.as_json() for entry in entries), key=lambda row: str(row["external_id"]))
    return set(connection.execute(_INSERT, {**_of_source(target), "rows": json.dumps(rows)}).scalars())


def wait_patiently(connection: Connection) -> None:
    """Bound no more waits in the transaction: what is wanted must not be lost because somebody claims the source."""
    connection.execute(_WAIT_PATIENTLY)


def want_sync(connection: Connection, target: WebhookTarget) -> None:
    """Let a sync of the source start out of turn. Last of all in a transaction: whoever claims the source waits for it.

    Written also where one is wanted already: a claim that takes that back must not miss what is being kept here.
    """
    connection.execute(_WANT, _of_source(target))


def note_received(database: Database, target: WebhookTarget) -> None:
    """Show on the configuration that a webhook came just now; whoever finds others at it leaves it to them."""
    with database.tenant(target.workspace_id) as connection:
        connection.execute(_NOTE_RECEIVED, {"id": target.configuration_id})


def _of_source(target: WebhookTarget) -> dict[str, Any]:
    return {
        "workspace_id": target.workspace_id,
        "provider": target.provider,
        "livemode": not target.is_test_mode,
    }


_OF_SOURCE = "workspace_id = :workspace_id AND provider_name = :provider AND livemode = :livemode"
_HOLD_TARGET = text(
    f"""
    SET LOCAL lock_timeout = {LOCKS_WAIT_MS};
    SET LOCAL statement_timeout = {STATEMENTS_TAKE_MS};
    SELECT workspace.slug, configuration.updated_at,
        coalesce(configuration.metadata->>'store_raw', '') <> 'false' AS store_raw,
        schedule.paused_at IS NOT NULL AS is_paused,
        EXISTS (
            SELECT FROM sync.payment_sync_sessions AS session
            WHERE session.workspace_id = :workspace_id AND session.provider_name = :provider
            AND session.status IN ('pending', 'running')
            AND coalesce(session.config->>'conflict_strategy', 'overwrite') <> 'overwrite'
        ) AS leaves_rows,
        EXISTS (
            SELECT FROM sync.sync_cursors AS cursor
            WHERE cursor.workspace_id = :workspace_id AND cursor.provider_name = :provider
            AND cursor.livemode <> configuration.is_test_mode AND cursor.full_listing_at IS NOT NULL
        ) AS was_listed,
        coalesce(configuration.last_webhook_at < now() - {NOTED_EVERY}, true) AS is_note_due,
        ARRAY (
            SELECT external_id FROM sync.webhook_events WHERE {_OF_SOURCE} AND external_id = ANY (:external_ids)
        ) AS known
    FROM sync.workspace_payment_configurations AS configuration
    JOIN sync.workspaces AS workspace ON workspace.id = configuration.workspace_id
    LEFT JOIN sync.source_schedules AS schedule
        ON schedule.workspace_id = configuration.workspace_id AND schedule.provider_name = configuration.provider_name
    WHERE configuration.id = :id AND configuration.is_active AND configuration.deleted_at IS NULL
    FOR SHARE OF configuration
    """
)
# What a check found unchanged is as good as a watermark: the next sync asks from then on.
_HOLD_TABLES = text(
    f"""
    WITH account AS (
        SELECT key_digest = :key_digest AS is_own_account FROM sync.synced_accounts
        WHERE {_OF_SOURCE} FOR NO KEY UPDATE
    )
    SELECT account.is_own_account, cursor.entity_type, cursor.owed,
        cursor.unfinished->>'strategy' AS strategy,
        CAST(extract(epoch FROM CASE WHEN cursor.full_listing_at IS NOT NULL THEN greatest(
            coalesce(cursor.watermark, cursor.full_listing_at),
            CASE WHEN schedule.unchanged_key_digest = :key_digest THEN schedule.unchanged_until END
        ) END) AS float8) AS since,
        CAST(cursor.unfinished->>'watermark' AS float8) AS listed_since,
        ARRAY (
            SELECT object_id FROM sync.missing_objects
            WHERE {_OF_SOURCE} AND entity_type = cursor.entity_type AND object_id = ANY (:object_ids)
        ) AS missing
    FROM account
    LEFT JOIN sync.sync_cursors AS cursor ON cursor.workspace_id = :workspace_id
        AND cursor.provider_name = :provider AND cursor.livemode = :livemode
    LEFT JOIN sync.source_schedules AS schedule
        ON schedule.workspace_id = :workspace_id AND schedule.provider_name = :provider
    """
)
_INSERT = text(
    """
    INSERT INTO sync.webhook_events (workspace_id, provider_name, livemode, external_id, event_type, entity_type,
        payload, payload_bytes, handled_at, handled_by)
    SELECT :workspace_id, :provider, :livemode, external_id, event_type, entity_type, CAST(payload AS jsonb),
        payload_bytes, CASE WHEN is_applied THEN now() END, CASE WHEN is_applied THEN 'at_once' END
    FROM json_to_recordset(CAST(:rows AS json)) AS row (external_id text, event_type text, entity_type text,
        payload text, payload_bytes bigint, is_applied boolean)
    ON CONFLICT DO NOTHING RETURNING external_id
    """
)
_WAIT_PATIENTLY = text("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
_WANT = text(
    "UPDATE sync.source_schedules SET wanted_at = coalesce(wanted_at, now()) "
    "WHERE workspace_id = :workspace_id AND provider_name = :provider"
)
_NOTE_RECEIVED = text(
    f"""
    UPDATE sync.workspace_payment_configurations SET last_webhook_at = now() WHERE id = (
        SELECT id FROM sync.workspace_payment_configurations
        WHERE id = :id AND deleted_at IS NULL AND coalesce(last_webhook_at < now() - {NOTED_EVERY}, true)
        FOR NO KEY UPDATE SKIP LOCKED
    )
    """
)
