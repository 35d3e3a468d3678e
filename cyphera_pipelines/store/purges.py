"""Purges: what they are asked for, and the deletion of rows, a bounded piece at a time.

Every piece is a transaction that also counts it, with the purge's row held: a purge may be carried on by any process
after any other was killed, and two at once take turns.
"""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, func, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from cyphera_pipelines.model.actor import Actor, acting_as, current_actor
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.errors import NotFoundError
from cyphera_pipelines.model.purges import DAGSTER_RUNS, Purge, PurgeStatus, PurgeUnderWayError
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import audit_entries, metadata, purges, workspaces
from cyphera_pipelines.store.workspaces import disconnect_source, disconnect_workspace

ROWS_AT_ONCE = 5_000
"""Rows of one transaction: it holds nobody up for longer than a moment."""


def request_purge(database: Database, workspace: Workspace, provider: str | None = None) -> Purge:
    """Ask for the removal of all that is kept of the workspace, or of its source at that provider.

    In the same transaction its configurations are removed, and the whole workspace's keys and analysts too: from then
    on no sync starts and no webhook is taken. Whoever asks again is told of the purge that is under way.
    """
    with database.control() as connection:
        connection.execute(select(workspaces.c.id).where(workspaces.c.id == workspace.id).with_for_update())
        under_way = connection.execute(select(purges).where(_is_under_way(workspace.id, provider))).first()
        if under_way is not None:
            return _to_purge(under_way)
        values = {
            "workspace_id": workspace.id,
            "workspace_slug": workspace.slug,
            "provider_name": provider,
            "requested_by": current_actor().id,
        }
        purge = _to_purge(connection.execute(insert(purges).values(values).returning(purges)).one())
        if provider is None:
            record_action(connection, workspace.id, Action.WORKSPACE_PURGE_REQUESTED, workspace.slug)
            disconnect_workspace(connection, workspace)
        else:
            record_action(connection, workspace.id, Action.SOURCE_PURGE_REQUESTED, f"{workspace.slug}:{provider}")
            disconnect_source(connection, workspace, provider)
    return purge


def find_purge(database: Database, purge_id: UUID) -> Purge:
    """The purge with that id, under way or completed, or NotFoundError."""
    with database.control() as connection:
        row = connection.execute(select(purges).where(purges.c.id == purge_id)).one_or_none()
    if row is None:
        raise NotFoundError("There is no such purge.")
    return _to_purge(row)


def list_unfinished_purges(database: Database) -> list[Purge]:
    """All purges that have not completed, oldest first."""
    unfinished = select(purges).where(purges.c.completed_at.is_(None)).order_by(purges.c.created_at)
    with database.control() as connection:
        return [_to_purge(row) for row in connection.execute(unfinished)]


def find_purged_workspace(database: Database, slug: str) -> UUID | None:
    """The id of the workspace of that slug that was purged last; None if none was."""
    purged = select(purges.c.workspace_id).where(purges.c.workspace_slug == slug, purges.c.provider_name.is_(None))
    with database.control() as connection:
        return connection.execute(purged.order_by(purges.c.created_at.desc()).limit(1)).scalar_one_or_none()


def check_not_purged(connection: Connection, workspace_id: UUID, provider: str) -> None:
    """Raise PurgeUnderWayError if the source is being purged; within a transaction of its workspace."""
    of_either = or_(_is_under_way(workspace_id, provider), _is_under_way(workspace_id, None))
    if connection.execute(select(purges.c.id).where(of_either)).first() is not None:
        raise PurgeUnderWayError


def note_wait(database: Database, purge: Purge, waits_for: str | None) -> None:
    """Show what the purge waits for, and that somebody is at work on it."""
    values = {"status": PurgeStatus.RUNNING.value, "waits_for": waits_for, "updated_at": func.now()}
    unfinished = and_(purges.c.id == purge.id, purges.c.completed_at.is_(None))
    with database.control() as connection:
        connection.execute(update(purges).where(unfinished).values(values))


def note_deleted_runs(database: Database, purge: Purge, count: int) -> None:
    """Count runs that were deleted in Dagster."""
    with database.control() as connection:
        _count(connection, purge, DAGSTER_RUNS, count)


def delete_rows_of(database: Database, purge: Purge, *, until: float, on_piece: Callable[[], None]) -> bool:
    """Delete the rows of the workspace or source, beginning no piece after `until` (of the monotonic clock).

    Returns whether all are gone. Any table that has a workspace counts, so that no new one can be forgotten. Nothing is
    deleted once the purge has completed: what is there then is somebody's who has begun anew.
    """
    while True:
        found_any = False
        for table in reversed(metadata.sorted_tables):
            mine = _rows_of(table, purge)
            while mine is not None:
                if time.monotonic() > until:
                    return False
                deleted = _delete_piece(database, purge, table.fullname, mine)
                on_piece()
                if not deleted:
                    break
                found_any = True
        if not found_any:
            return True


def complete_purge(database: Database, purge: Purge) -> bool:
    """End a purge whose rows are all gone, with the workspace's own.

    Returns False if it has ended already, or if a row has come that a request under way has written: then all is looked
    through once more.
    """
    try:
        return _complete(database, purge)
    except IntegrityError:
        return False


def _complete(database: Database, purge: Purge) -> bool:
    with database.control() as connection, acting_as(Actor(purge.requested_by)):
        done = update(purges).where(purges.c.id == purge.id, purges.c.completed_at.is_(None))
        values = {"status": PurgeStatus.COMPLETED.value, "waits_for": None}
        now = {"completed_at": func.now(), "updated_at": func.now()}
        row = connection.execute(done.values(**values, **now).returning(purges)).one_or_none()
        if row is None:
            return False
        counted = {"rows": _to_purge(row).rows, DAGSTER_RUNS: row.deleted.get(DAGSTER_RUNS, 0)}
        if purge.provider_name is None:
            connection.execute(delete(workspaces).where(workspaces.c.id == purge.workspace_id))
            record_action(connection, purge.workspace_id, Action.WORKSPACE_PURGED, purge.workspace_slug, counted)
        else:
            source = f"{purge.workspace_slug}:{purge.provider_name}"
            record_action(connection, purge.workspace_id, Action.SOURCE_PURGED, source, counted)
    return True


def forget_names(database: Database, purge: Purge) -> None:
    """Forget what the rows that stay tell of people: in the audit trail all but who did what and when."""
    of_purge = {
        "workspace_id": purge.workspace_id,
        "provider": purge.provider_name,
        "source": f"{purge.workspace_slug}:{purge.provider_name}",
    }
    with database.control() as connection:
        if not _hold(connection, purge):
            return
        connection.execute(_FORGET_DETAILS, of_purge)
        if purge.provider_name is None:
            own = update(workspaces).where(workspaces.c.id == purge.workspace_id)
            connection.execute(own.values(name=purge.workspace_slug))


def forget_statistics(database: Database) -> None:
    """Let Postgres look at the tables anew: its statistics hold values of rows that are gone, as e-mail addresses."""
    for table in metadata.sorted_tables:
        if table is not purges:
            with database.control() as connection:
                connection.execute(text(f"ANALYZE {table.fullname}"))
                is_empty = connection.execute(select(table).limit(1)).first() is None
                if is_empty and connection.execute(_CAN_CLEAR_STATISTICS).scalar_one():
                    # Analyzing an empty table leaves what was known of it. Before Postgres 18 nobody can take it away.
                    connection.execute(_CLEAR_STATISTICS, {"schema": table.schema, "table": table.name})


def _delete_piece(database: Database, purge: Purge, table: str, mine: str) -> int:
    piece = text(
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY (SELECT ctid FROM {table} WHERE {mine} LIMIT {ROWS_AT_ONCE}))"
    )
    of_purge = {"workspace_id": purge.workspace_id, "provider": purge.provider_name}
    with database.control() as connection:
        if not _hold(connection, purge):
            return 0
        deleted = connection.execute(piece, of_purge).rowcount
        if deleted:
            _count(connection, purge, table, deleted)
    return deleted


def _hold(connection: Connection, purge: Purge) -> bool:
    """Keep others from carrying the purge on in this transaction; False if it has completed."""
    held = select(purges.c.completed_at).where(purges.c.id == purge.id).with_for_update()
    return connection.execute(held).scalar_one() is None


def _count(connection: Connection, purge: Purge, name: str, count: int) -> None:
    connection.execute(_COUNT, {"id": purge.id, "name": name, "count": count})


def _rows_of(table: Table, purge: Purge) -> str | None:
    """The condition that the rows that go meet; None for a table whose rows do not."""
    if table in (audit_entries, purges) or "workspace_id" not in table.c:
        return None
    of_workspace = "workspace_id = :workspace_id"
    if purge.provider_name is None:
        return of_workspace
    named = [name for name in ("provider", "provider_name") if name in table.c]
    return f"{of_workspace} AND {named[0]} = :provider" if named else None


def _is_under_way(workspace_id: UUID, provider: str | None) -> ColumnElement[bool]:
    of_provider = purges.c.provider_name.is_(None) if provider is None else purges.c.provider_name == provider
    return and_(purges.c.workspace_id == workspace_id, of_provider, purges.c.completed_at.is_(None))


def _to_purge(row: Row[Any]) -> Purge:
    values = {name: row._mapping[name] for name in Purge.__dataclass_fields__}
    return Purge(**values | {"status": PurgeStatus(values["status"])})


_COUNT = text(
    """
    UPDATE sync.purges SET status = 'running', waits_for = NULL, updated_at = now(), deleted = deleted
        || jsonb_build_object(CAST(:name AS text), coalesce((deleted->>CAST(:name AS text))::bigint, 0) + :count)
    WHERE id = :id
    """
)
# Analysts' and accounts' names may be people's; so may what keys and labels are called.
_FORGET_DETAILS = text(
    """
    UPDATE sync.audit_entries SET details = '{}',
        actor_name = CASE WHEN CAST(:provider AS text) IS NULL THEN NULL ELSE actor_name END,
        subject_id = CASE WHEN action ~ '^(analyst|account)\\.' THEN 'purged' ELSE subject_id END
    WHERE workspace_id = :workspace_id
    AND (CAST(:provider AS text) IS NULL OR details->>'provider' = :provider OR subject_id IN (:provider, :source))
    """
)
_CAN_CLEAR_STATISTICS = text("SELECT count(*) > 0 FROM pg_proc WHERE proname = 'pg_clear_attribute_stats'")
_CLEAR_STATISTICS = text(
    "SELECT pg_clear_attribute_stats(schemaname::text, tablename::text, attname::text, inherited) FROM pg_stats "
    "WHERE schemaname = :schema AND tablename = :table"
)
