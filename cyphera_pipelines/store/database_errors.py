"""What a database error is about: the data of its statement, the connection, or the database. Decided here only."""

import psycopg2
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.connection_waits import DatabaseUnavailableError

# The first two characters of an SQLSTATE are its class.
_DATA_CLASSES = {
    "21",  # cardinality violation: one row comes twice
    "22",  # data exception: a number out of range, a character that cannot be stored
    "23",  # a constraint, which may be of the operator's making
    "54",  # a limit of Postgres': a value too long for an index, too deep, too large
    "P0",  # raised by a trigger, of the operator's making
}
# What our own encoders raise, and the driver of a parameter.
_PYTHON_ERRORS_OF_DATA = (ValueError, TypeError, OverflowError, RecursionError)
# An internal error, but for its text, which is never translated: a value of more than a gigabyte.
_VALUE_TOO_LARGE = "invalid memory alloc request size"

_CONNECTION_CLASSES = {"08"}
_CONNECTION_ENDED = {"25P03", "57P01", "57P02", "57P03", "57P04", "57P05"}

# A lock timeout, a statement's time limit, a deadlock, and a transaction that others overtook.
_GAVE_WAY = {"55P03", "57014", "40P01", "40001"}

_WHAT_HAPPENED = {
    "40": "was in the way of another transaction of its database",
    "42501": "is not allowed to do what it must in its database",
    "53": "found its database without room",
    "55": "was in the way of another transaction of its database",
    "57014": "was stopped by a time limit of its database, or by somebody who cancelled a statement",
}
_OTHERWISE = "was stopped by its database"
_NO_ROOM = "53"


def is_about_data(error: Exception) -> bool:
    """Whether a statement failed for the data that it was given, so that other data may well be taken."""
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return isinstance(error.orig, _PYTHON_ERRORS_OF_DATA)
    if not isinstance(error, DBAPIError):
        return isinstance(error, _PYTHON_ERRORS_OF_DATA)
    state = _sqlstate(error)
    if state is None:
        return isinstance(error.orig, psycopg2.DataError | psycopg2.ProgrammingError) and not is_lost(error)
    return state[:2] in _DATA_CLASSES or (state == "XX000" and reason_of(error).startswith(_VALUE_TOO_LARGE))


def gives_way(error: Exception) -> bool:
    """Whether a statement was stopped because it waited for others for too long, or was in their way."""
    return _sqlstate(error) in _GAVE_WAY


def is_lost(error: Exception) -> bool:
    """Whether the connection that was there is gone."""
    if not isinstance(error, DBAPIError):
        return False
    state = _sqlstate(error)
    if state is not None:
        return state[:2] in _CONNECTION_CLASSES or state in _CONNECTION_ENDED
    return error.connection_invalidated or (
        error.statement is not None and isinstance(error.orig, psycopg2.OperationalError | psycopg2.InterfaceError)
    )


def what_happened(error: Exception) -> str:
    """What goes on a sentence that begins with who met the error, as in "lost its database: <the first line>"."""
    return f"{_what_happened(error)}: {reason_of(error)}"


def _what_happened(error: Exception) -> str:
    if is_lost(error):
        return "lost its database"
    if isinstance(error, PoolTimeoutError | DatabaseUnavailableError):
        return "got no connection to its database"
    state = _sqlstate(error)
    if state is None:
        # Without a statement there was no connection yet.
        is_unconnected = isinstance(error, DBAPIError) and error.statement is None
        return "could not connect to its database" if is_unconnected else _OTHERWISE
    if is_about_data(error):
        return "had something to write that its database refuses"
    return _WHAT_HAPPENED.get(state) or _WHAT_HAPPENED.get(state[:2], _OTHERWISE)


def error_code_of(error: BaseException) -> ErrorCode:
    """The code of any error: its own, that of what the database does, else UNEXPECTED."""
    if isinstance(error, CypheraError):
        return error.code
    if not isinstance(error, SQLAlchemyError):
        return ErrorCode.UNEXPECTED
    state = _sqlstate(error)
    is_unconnected = state is None and isinstance(error, DBAPIError) and error.statement is None
    if is_lost(error) or is_unconnected:
        return ErrorCode.DATABASE_UNAVAILABLE
    is_full = isinstance(error, PoolTimeoutError) or (state or "").startswith(_NO_ROOM)
    return ErrorCode.DATABASE_FULL if is_full else ErrorCode.DATABASE_ERROR


def reason_of(error: Exception) -> str:
    """The first line of what the database, or whoever else, said; without secrets."""
    if isinstance(error, PoolTimeoutError):
        return "all connections of its process were in use for too long"
    said = redact(str(getattr(error, "orig", None) or error)).strip()
    # It becomes a part of a sentence.
    return said.splitlines()[0].rstrip(".") if said else type(error).__name__


def _sqlstate(error: Exception) -> str | None:
    return getattr(getattr(error, "orig", None), "pgcode", None)
