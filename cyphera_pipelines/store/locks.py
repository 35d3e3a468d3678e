"""One sync per source at a time: a Postgres advisory lock is the truth, wherever the process runs.

Whoever may log in to the database may hold any advisory lock whose number he knows. A source's is therefore a random
one that only we can read, and once it is held, which all can see, a stranger may wait for it: then another number takes
its place. Numbers are taken and replaced only by the holder of their row, so that no two syncs hold two of them.
"""

import secrets
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from tenacity import Retrying, retry_if_result, wait_fixed

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import has_running_session

PATIENCE_SECONDS = 2.0
ENDING_PATIENCE_SECONDS = 15.0
"""How long a process is waited for whose session is over: it stops within ten seconds, whatever it waits for."""


class SourceBusyError(ConflictError):
    """Another process is syncing this source right now."""

    code = ErrorCode.SOURCE_BUSY


class HeldLock:
    """A source's lock that is held, as long as its connection lives."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver: Any = connection.connection.dbapi_connection
        self._turn = threading.Lock()
        self._lost: SQLAlchemyError | None = None

    def check(self) -> None:
        """Raise a database error if the lock is lost: call it last of all before a commit. Costs no round trip.

        Postgres says nothing on a connection at rest until it ends it. Safe to call from several threads.
        """
        with self._turn:
            if self._lost is not None:
                raise self._lost
            if self._driver.closed or select.select([self._driver.fileno()], [], [], 0)[0]:
                try:
                    with self._connection.begin():
                        self._connection.execute(text("SELECT 1"))
                except SQLAlchemyError as error:
                    self._lost = error
                    raise


@contextmanager
def source_lock(database: Database, source: Source) -> Iterator[HeldLock]:
    """Hold the source's lock, or raise SourceBusyError if somebody else goes on holding it.

    The lock lives as long as its connection: a killed process gives it back without anybody's help, as soon as Postgres
    notices that the process is gone. That is what the short patience is for. Where no session of the source runs, its
    holder is about to stop, or has only just begun: then patience is longer.
    """
    with database.engine.connect() as connection:
        patience = Retrying(
            retry=retry_if_result(lambda number: number is None),
            stop=lambda state: _is_long_enough(database, source, state.seconds_since_start or 0.0),
            wait=wait_fixed(PATIENCE_SECONDS / 20),
            retry_error_callback=lambda _state: None,
        )
        number = patience(_try_lock, connection, source)
        if number is None:
            raise SourceBusyError(_why_busy(source, is_running=has_running_session(database, source)))
        try:
            yield HeldLock(connection)
        finally:
            _unlock(connection, number)


def is_being_synced(database: Database, workspace_id: UUID, provider: str) -> bool:
    """Whether any process of ours holds the source's lock right now."""
    values = {"workspace_id": workspace_id, "provider_name": provider}
    with database.control() as connection:
        number = connection.execute(_NUMBER, values).scalar_one_or_none()
        return number is not None and _is_ours(connection, number)


def _is_long_enough(database: Database, source: Source, waited: float) -> bool:
    if waited < min(PATIENCE_SECONDS, ENDING_PATIENCE_SECONDS):
        return False
    return waited >= ENDING_PATIENCE_SECONDS or has_running_session(database, source)


def _why_busy(source: Source, *, is_running: bool) -> str:
    if is_running:
        return (
            f"{source.key} is being synced by another process; wait for it to end or cancel it. "
            f"See: cyphera sessions {source.workspace_slug}"
        )
    return (
        f"{source.key} is held by a process although no session of it is running: that process has not stopped yet, or "
        "not begun yet. Start this sync again in a minute."
    )


def _try_lock(connection: Connection, source: Source) -> int | None:
    """The number of the lock that is held from now on; None if a process of ours holds the source's."""
    another = _random_number()
    values = {"workspace_id": source.workspace_id, "provider_name": source.provider, "number": another}
    with connection.begin():
        connection.execute(_MAKE, values)
        number: int = connection.execute(_NUMBER_FOR_UPDATE, values).scalar_one()
        if not _take(connection, number):
            if _is_ours(connection, number):
                return None
            connection.execute(_REPLACE, values)
            number = another
            if not _take(connection, number):
                return None
        return number


def _take(connection: Connection, number: int) -> bool:
    return bool(connection.execute(text("SELECT pg_try_advisory_lock(:number)"), {"number": number}).scalar_one())


def _is_ours(connection: Connection, number: int) -> bool:
    return bool(connection.execute(_HELD_BY_US, {"number": number}).scalar_one())


def _unlock(connection: Connection, number: int) -> None:
    try:
        with connection.begin():
            connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": number})
    except SQLAlchemyError:
        # With the connection the lock is gone; what is left of it must not go back to the pool.
        connection.invalidate()


def _random_number() -> int:
    return secrets.randbits(64) - 2**63


_OF_SOURCE = "FROM sync.source_locks WHERE workspace_id = :workspace_id AND provider_name = :provider_name"
_NUMBER = text(f"SELECT number {_OF_SOURCE}")
_NUMBER_FOR_UPDATE = text(f"SELECT number {_OF_SOURCE} FOR UPDATE")
_MAKE = text(
    "INSERT INTO sync.source_locks (workspace_id, provider_name, number) "
    "VALUES (:workspace_id, :provider_name, :number) ON CONFLICT DO NOTHING"
)
_REPLACE = text(
    "UPDATE sync.source_locks SET number = :number, replaced_at = now() "
    "WHERE workspace_id = :workspace_id AND provider_name = :provider_name"
)
# Ours are the roles that may do whatever the table's owner may: a tenant's analyst is none of them.
_HELD_BY_US = text(
    """
    SELECT EXISTS (
        SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
            JOIN pg_class ON pg_class.oid = 'sync.source_locks'::regclass
        WHERE pg_locks.locktype = 'advisory' AND pg_locks.granted AND pg_locks.objsubid = 1
          AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND pg_locks.classid = ((CAST(:number AS bigint) >> 32) & 4294967295)::oid
          AND pg_locks.objid = (CAST(:number AS bigint) & 4294967295)::oid
          AND pg_has_role(pg_stat_activity.usesysid, pg_class.relowner, 'MEMBER')
    )
    """
)
