"""One `cyphera up` per database: each keeps a connection open whose name tells of it, and looks for that of another.

Unlike a row, a connection goes when its process does. Only those of our own login count, so that nobody else can keep
us out.
"""

import os
from collections.abc import Sequence

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.store.database import Database

_NAME = "cyphera up, process "
_EARLIER = text(
    """
    SELECT other.application_name AS name, coalesce(host(other.client_addr), 'this machine') AS host,
           to_char(other.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI UTC') AS since
    FROM pg_stat_activity AS other, pg_stat_activity AS own
    WHERE own.pid = pg_backend_pid() AND other.datid = own.datid AND other.usesysid = own.usesysid
    AND starts_with(other.application_name, :name)
    AND (other.backend_start, other.pid) < (own.backend_start, own.pid)
    ORDER BY other.backend_start LIMIT 1
    """
)


class Presence:
    """This `cyphera up` at its database, until `close`. For one thread."""

    def __init__(self, database: Database, ports: Sequence[int]) -> None:
        name = f"{_NAME}{os.getpid()}, ports {' '.join(map(str, ports))}"
        self._engine = create_engine(
            database.engine.url,
            pool_size=1,
            max_overflow=0,
            isolation_level="AUTOCOMMIT",
            connect_args={"application_name": name, "connect_timeout": 5},
        )
        self._connection: Connection | None = None

    def look(self, *, patience: float = 0.0) -> None:
        """Be there, and raise ConflictError that names an earlier one, if it does not go within `patience` seconds.

        One that has just ended may be seen for a moment. Raises SQLAlchemyError if the database fails.
        """
        looking = Retrying(
            retry=retry_if_exception_type(ConflictError),
            stop=stop_after_delay(patience),
            wait=wait_fixed(0.1),
            reraise=True,
        )
        looking(self._look)

    def _look(self) -> None:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            earlier = self._connection.execute(_EARLIER, {"name": _NAME}).one_or_none()
        except SQLAlchemyError:
            self.close()
            raise
        if earlier is not None:
            raise ConflictError(
                f"`cyphera up` is at work on this database already ({earlier.name.removeprefix('cyphera up, ')}, seen "
                f"from the server at {earlier.host}, since {earlier.since}). Stop that one first."
            )

    def close(self) -> None:
        """Be there no longer."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()
