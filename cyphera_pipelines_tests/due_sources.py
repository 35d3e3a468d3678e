"""Sources that are due now, or not, whatever their schedules say: for tests of claims and batches."""

from sqlalchemy import text

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.claims import Claim
from cyphera_pipelines.store.database import Database


def put_aside(database: Database) -> None:
    """Let nothing be due for almost an hour: what is due later than it can be, a batch sets right."""
    with database.control() as connection:
        connection.execute(
            text(
                "UPDATE sync.source_schedules SET due_at = now() + least(make_interval(secs => changes_every_seconds), "
                "interval '50 minutes'), wanted_at = NULL, "
                "claimed_by = NULL, lease_until = NULL"
            )
        )


def set_row(database: Database, source: Source | Claim, **values: str) -> None:
    """Set columns of the source's row to what SQL expressions say."""
    assigned = ", ".join(f"{name} = {value}" for name, value in values.items())
    with database.control() as connection:
        connection.execute(
            text(f"UPDATE sync.source_schedules SET {assigned} WHERE workspace_id = :workspace_id"),
            {"workspace_id": source.workspace_id},
        )


def make_due(database: Database, source: Source, seconds: float = 10) -> Source:
    statement = (
        "INSERT INTO sync.source_schedules (workspace_id, provider_name, due_at) "
        "VALUES (:workspace_id, 'stripe', now() - make_interval(secs => :seconds)) "
        "ON CONFLICT (workspace_id, provider_name) DO UPDATE SET due_at = excluded.due_at"
    )
    with database.control() as connection:
        connection.execute(text(statement), {"workspace_id": source.workspace_id, "seconds": seconds})
    return source
