"""One sync per source at a time: a Postgres advisory lock is the truth, wherever the process runs."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database


class SourceBusyError(ConflictError):
    """Another process is syncing this source right now."""


@contextmanager
def source_lock(database: Database, source: Source) -> Iterator[None]:
    """Hold the source's lock, or raise SourceBusyError at once.

    The lock lives as long as its connection: a killed process gives it back without anybody's help.
    """
    key = int.from_bytes(
        hashlib.sha256(f"sync {source.workspace_id} {source.provider}".encode()).digest()[:8], signed=True
    )
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one():
            raise SourceBusyError(
                f"{source.key} is being synced by another process; wait for it to end or cancel it. "
                f"See: cyphera sessions {source.workspace_slug}"
            )
        try:
            yield
        finally:
            # The pool would keep the connection, and with it the lock: close it for good.
            connection.invalidate()
