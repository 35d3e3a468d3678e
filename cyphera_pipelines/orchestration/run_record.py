"""Dagster's record of a run in this process, which is given up soon once its database is lost.

Dagster tries every statement for twelve seconds, and tells each try: a sync whose database is gone would go on for
minutes about it. A run worker may wait for a database that starts again; a person who watches a command may not.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from dagster import DagsterInstance, EventLogEntry
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage
from dagster_postgres.utils import retry_pg_connection_fn
from sqlalchemy import event as engine_event
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.connection_waits import RUN_PATIENCE, DatabaseUnavailableError, connect_when_free

PATIENCE_SECONDS = 2.0
"""How long Dagster's database may refuse connections in the middle of a run."""


class RunRecordLostError(DatabaseUnavailableError):
    """Dagster's database was lost in the middle of a run; the message is the reason that the run itself gave, if any.

    What Dagster shows of the run is out of date until its daemon ends it.
    """

    code = ErrorCode.RUN_RECORD_LOST


class _Record:
    """Whether the run can still be recorded. Once lost it stays lost: half of a run's events would tell a lie."""

    def __init__(self) -> None:
        self._refused_since: float | None = None
        self._lost: str | None = None
        self._reason: str | None = None

    def error(self) -> RunRecordLostError | None:
        """What to tell, if the record is lost."""
        if self._lost is None:
            return None
        return RunRecordLostError(
            self._reason
            or f"Dagster's database was lost in the middle of the run: {self._lost}. How the sync itself ended is told "
            "by: cyphera sessions"
        )

    def connect(self, dialect: Dialect, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
        """Connect as SQLAlchemy does. Raises RunRecordLostError, which Dagster does not try again, once it is late."""
        self._refuse_if_lost()
        try:
            connection = connect_when_free(dialect, arguments, options, RUN_PATIENCE)
        except dialect.loaded_dbapi.Error as error:
            now = time.monotonic()
            self._refused_since = self._refused_since or now
            if now - self._refused_since < PATIENCE_SECONDS:
                raise
            self._lose(error)
            self._refuse_if_lost()
        self._refused_since = None
        return connection

    def store(self, store_event: Callable[[EventLogEntry], None], event: EventLogEntry) -> None:
        """Store an event of the run, unless the record is lost: then keep the reason that a failure gives."""
        if self._lost is None:
            try:
                store_event(event)
                return
            except RunRecordLostError:
                pass
            except DBAPIError as error:
                # Cut off in the middle of the statement: nobody knows whether the event was stored.
                if not error.connection_invalidated:
                    raise
                self._lose(error.orig or error)
        if event.dagster_event is not None and event.dagster_event.is_step_failure:
            failure = event.dagster_event.step_failure_data.user_failure_data
            self._reason = failure.description if failure is not None else self._reason

    def _refuse_if_lost(self) -> None:
        if (lost := self.error()) is not None:
            raise lost

    def _lose(self, error: BaseException) -> None:
        self._lost = redact(next(iter(str(error).strip().splitlines()), type(error).__name__))


@contextmanager
def recording_while_possible(instance: DagsterInstance) -> Iterator[None]:
    """Let the body's runs be recorded, or raise RunRecordLostError within seconds after that became impossible.

    Another storage than ours is left alone.
    """
    events, runs = instance.event_log_storage, instance.run_storage
    if not isinstance(events, PostgresEventLogStorage) or not isinstance(runs, PostgresRunStorage):
        yield
        return
    record = _Record()
    store_event = events.store_event
    engines = {events._engine, runs._engine}
    for engine in engines:
        engine_event.listen(engine, "do_connect", record.connect)
    events.store_event = partial(record.store, store_event)  # type: ignore[method-assign]
    try:
        with _lost_connections_told_once():
            yield
    except Exception as error:
        if (lost := record.error()) is not None:
            raise lost from error
        raise
    else:
        if (lost := record.error()) is not None:
            raise lost
    finally:
        events.store_event = store_event  # type: ignore[method-assign]
        for engine in engines:
            engine_event.remove(engine, "do_connect", record.connect)


@contextmanager
def _lost_connections_told_once() -> Iterator[None]:
    """Leave to the error at the end what each thread and each try would warn of, unless somebody debugs."""
    handlers = logging.getLogger().handlers[:]
    for handler in handlers:
        handler.addFilter(_is_wanted)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_is_wanted)


def _is_wanted(record: logging.LogRecord) -> bool:
    is_retry = record.funcName == retry_pg_connection_fn.__name__
    is_lost = record.exc_info is not None and isinstance(record.exc_info[1], SQLAlchemyError)
    return not (is_retry or is_lost) or logging.getLogger().isEnabledFor(logging.DEBUG)
