"""What a Postgres server has to be like for this program."""

from sqlalchemy import Connection, text

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.store.connection_waits import DatabaseUnavailableError

OLDEST_VERSION, NEWEST_VERSION = 14, 18
"""Major versions of Postgres that this program is tried with."""

ENCODING = "UTF8"


class UnsuitableServerError(DatabaseUnavailableError):
    """The server can be reached, but this program cannot work with it; the message says why and what to do."""

    code = ErrorCode.DATABASE_UNSUITABLE


def server_version(connection: Connection) -> tuple[int, ...]:
    """As in (16, 2). Costs no round trip."""
    return tuple(int(part) for part in connection.dialect.server_version_info or ())


def check_version(connection: Connection) -> None:
    """Raise UnsuitableServerError for a server that is too old. Costs no round trip."""
    version = server_version(connection)
    if version < (OLDEST_VERSION,):
        raise UnsuitableServerError(
            f"The server runs PostgreSQL {'.'.join(map(str, version))}; {OLDEST_VERSION} to {NEWEST_VERSION} are "
            "supported. Upgrade the server, or name another in CYPHERA_DATABASE_URL."
        )


def check_server(connection: Connection) -> None:
    """Raise UnsuitableServerError for a server that is too old, takes no writes, or keeps no Unicode."""
    check_version(connection)
    database, encoding, takes_writes = connection.execute(_ASK).one()
    if encoding != ENCODING:
        raise UnsuitableServerError(
            f"The database {database!r} keeps text as {encoding}, which not every text of a provider's fits in. Make "
            f"another one: CREATE DATABASE ... ENCODING '{ENCODING}' TEMPLATE template0"
        )
    if not takes_writes:
        raise UnsuitableServerError(
            "The server takes no writes: it is a standby, or default_transaction_read_only is on. Name the primary in "
            "CYPHERA_DATABASE_URL."
        )


_ASK = text(
    "SELECT current_database(), current_setting('server_encoding'), current_setting('transaction_read_only') = 'off'"
)
