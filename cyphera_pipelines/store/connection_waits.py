"""Waiting for a connection where the server has none to give: patiently, with jitter, and so that it can be told."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import Dialect
from tenacity import Retrying, retry_if_exception, retry_if_exception_type, stop_after_delay, wait_random_exponential

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.security.secrets import redact

RUN_PATIENCE = 150.0
"""Seconds that a run waits for a connection. Dagster gives a run 180 from its launch to its start."""

COMMAND_PATIENCE = 15.0
"""A person looks on, or a sensor's tick: the next one comes soon, and Dagster ends one after a minute."""

REQUEST_PATIENCE = 3.0
"""A client of the API waits; it is told to come again."""

LONGEST_PAUSE = 3.0

# Where a connection is refused there is no SQLSTATE to go by. Postgres, and PgBouncer.
_NONE_IS_FREE = re.compile(
    r"too many clients already|too many connections for|remaining connection slots are reserved|"
    r"no more connections allowed|max_client_conn",
    re.IGNORECASE,
)


class DatabaseUnavailableError(CypheraError):
    """The database cannot be reached or refuses us; the message names the address, without its password."""

    code = ErrorCode.DATABASE_UNAVAILABLE


class NoConnectionError(DatabaseUnavailableError):
    """The server had no connection to give for as long as this process was ready to wait; `reason` is what it said."""

    code = ErrorCode.DATABASE_FULL

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(
            f"The database had no free connection within {seconds:g} s: {reason}. Let fewer runs work at once "
            "(max_concurrent_runs in dagster.yaml) or raise the server's max_connections; what is needed is told by: "
            "cyphera db connections"
        )
        self.reason = reason


@dataclass
class ConnectionPatience:
    """How many seconds a pool waits for each connection that the server does not give at once."""

    seconds: float

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """The pool does not wait at all while the body runs."""
        before, self.seconds = self.seconds, 0.0
        try:
            yield
        finally:
            self.seconds = before


@dataclass(frozen=True)
class ConnectionWait:
    """How long, in seconds, this process waited for connections since that was last asked, and what the server said."""

    seconds: float
    reason: str


def none_is_free(error: BaseException) -> bool:
    """Whether connecting failed since the server, or what stands before it, had no connection to give."""
    return _NONE_IS_FREE.search(_first_line(error)) is not None


class ConnectionWaits:
    """What a process has waited for connections. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waited: ConnectionWait | None = None

    def note(self, seconds: float, reason: str) -> None:
        """Somebody has waited. Several threads that waited at the same time count once."""
        with self._lock:
            before = self._waited.seconds if self._waited is not None else 0.0
            self._waited = ConnectionWait(max(before, seconds), reason)

    def extend(self, seconds: float) -> None:
        """What was noted was only a part of a wait of so many seconds."""
        with self._lock:
            if self._waited is not None:
                self._waited = ConnectionWait(max(self._waited.seconds, seconds), self._waited.reason)

    def take(self) -> ConnectionWait | None:
        """What nobody was told of yet, if anything."""
        with self._lock:
            waited, self._waited = self._waited, None
            return waited


connection_waits = ConnectionWaits()
"""Of this process, whichever of the databases it waited for."""


def wait_for_connections(
    engine: Engine,
    patience: float,
    *,
    on_wait: Callable[[str], None] = lambda _reason: None,
    start_again: Callable[[], object] | None = None,
) -> ConnectionPatience:
    """Let the engine's pool connect as `connect_when_free` does, unless somebody else listens to how it connects.

    `start_again` is called where no connection can be made, before that is tried once more: an embedded server that
    was killed is started by whoever needs it.
    """
    own = ConnectionPatience(patience)

    def connect(dialect: Dialect, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
        if len(dialect.dispatch.do_connect) > 1:
            return None  # leaves it to the other
        try:
            return connect_when_free(dialect, arguments, options, own.seconds, on_wait=on_wait)
        except dialect.loaded_dbapi.OperationalError:
            if start_again is None:
                raise
        start_again()
        return connect_when_free(dialect, arguments, options, own.seconds, on_wait=on_wait)

    event.listen(engine, "do_connect", connect)
    return own


def take_all_connections(engine: Engine, count: int, patience: ConnectionPatience) -> None:
    """Fill the engine's pool with `count` connections, so that what begins with them needs none that is not there.

    All of them or none: processes that each held some, and waited for more, would wait for each other. Waits as long as
    the pool does, then raises NoConnectionError.
    """
    began, seconds = time.monotonic(), patience.seconds
    waiting = Retrying(
        retry=retry_if_exception_type(NoConnectionError),
        wait=wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE),
        stop=stop_after_delay(seconds),
        reraise=True,
    )
    with patience.suspended():
        try:
            for attempt in waiting:
                with attempt:
                    _take_all(engine, count)
        except NoConnectionError as error:
            connection_waits.note(time.monotonic() - began, error.reason)
            raise NoConnectionError(error.reason, seconds) from None
    if waiting.statistics["attempt_number"] > 1:
        connection_waits.extend(time.monotonic() - began)


def _take_all(engine: Engine, count: int) -> None:
    with ExitStack() as stack:
        taken: list[Connection] = []
        try:
            for _ in range(count):
                connection = stack.enter_context(engine.connect())
                taken.append(connection)
        except NoConnectionError:
            # Those alone: what another thread of this process is using stays in the pool, and counts there.
            for connection in taken:
                connection.invalidate()
            raise


def connect_when_free(
    dialect: Dialect,
    arguments: list[Any],
    options: dict[str, Any],
    patience: float,
    *,
    on_wait: Callable[[str], None] = lambda _reason: None,
) -> Any:
    """Connect as SQLAlchemy does, but wait for up to `patience` seconds where the server has no connection to give.

    `on_wait` hears once of the wait, with what the server says. Then NoConnectionError is raised. All other errors of
    connecting are raised at once, as they are.
    """
    began = time.monotonic()
    reasons: list[str] = []

    def is_worth_waiting(error: BaseException) -> bool:
        reason = _first_line(error)
        if not isinstance(error, dialect.loaded_dbapi.Error) or not none_is_free(error):
            return False
        if not reasons:
            reasons.append(reason)
            if patience:
                on_wait(reason)
        return True

    waiting = Retrying(
        retry=retry_if_exception(is_worth_waiting),
        wait=wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE),
        stop=stop_after_delay(patience),
        reraise=True,
    )
    try:
        return waiting(dialect.connect, *arguments, **options)
    except dialect.loaded_dbapi.Error as error:
        if not none_is_free(error):
            raise
        raise NoConnectionError(_first_line(error), patience) from None
    finally:
        if reasons:
            connection_waits.note(time.monotonic() - began, reasons[0])


def _first_line(error: BaseException) -> str:
    return redact(next(iter(str(error).strip().splitlines()), type(error).__name__))
