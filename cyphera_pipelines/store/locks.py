"""One sync per source at a time: a Postgres advisory lock is the truth, wherever the process runs."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database

PATIENCE_SECONDS = 2.0


class SourceBusyError(ConflictError):
    """Another process is syncing this source right now."""


@contextmanager
def source_lock(database: Database, source: Source) -> Iterator[None]:
    """Hold the source's lock, or raise SourceBusyError if somebody else goes on holding it.

    The lock lives as long as its connection: a killed process gives it back without anybody's help, as soon as Postgres
    notices that the process is gone. That is what the short patience is for.
    """
    key = _lock_key(source.workspace_id, source.provider)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        patience = Retrying(
            retry=retry_if_result(lambda is_ours: not is_ours),
            stop=stop_after_delay(PATIENCE_SECONDS),
            wait=wait_fixed(PATIENCE_SECONDS / 20),
            retry_error_callback=lambda _state: False,
        )
        if not patience(_try_lock, connection, key):
            raise SourceBusyError(
                f"{source.key} is being synced by another process; wait for it to end or cancel it. "
                f"See: cyphera sessions {source.workspace_slug}"
            )
        try:
            yield
        finally:
            _unlock(connection, key)


def _try_lock(connection: Connection, key: int) -> bool:
    return bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one())


def _unlock(connection: Connection, key: int) -> None:
    try:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
    except SQLAlchemyError:
        # With the connection the lock is gone; what is left of it must not go back to the pool.
        connection.invalidate()


def is_being_synced(database: Database, workspace_id: UUID, provider: str) -> bool:
    """Whether any process holds the source's lock right now."""
    # Taken for the length of this transaction only, so that it is given back whatever happens.
    attempt = text("SELECT pg_try_advisory_xact_lock(:key)")
    with database.control() as connection:
        return not connection.execute(attempt, {"key": _lock_key(workspace_id, provider)}).scalar_one()


def _lock_key(workspace_id: UUID, provider: str) -> int:
    digest = hashlib.sha256(f"sync {workspace_id} {provider}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
