"""Dagster's storage: in Postgres, found through our settings, over few connections that are kept."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, DagsterRun
from dagster._core.storage.runs.schema import InstanceInfo
from dagster._serdes import ConfigurableClassData
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import create_pg_connection, set_pg_statement_timeout
from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import QueuePool

from cyphera_pipelines import local
from cyphera_pipelines.connection_budget import DAGSTER_RUN, DAGSTER_SERVICE, budget_of
from cyphera_pipelines.orchestration.dagster_database import alone, prepare_dagster_database
from cyphera_pipelines.orchestration.pools import in_pool_of_provider
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.connection_waits import (
    RUN_PATIENCE,
    DatabaseUnavailableError,
    wait_for_connections,
)
from cyphera_pipelines.store.server_connections import read_server_connections, shortage

# Bounds a statement that is stuck behind a lock, and leaves time to migrate a large event log.
STATEMENT_TIMEOUT_MILLISECONDS = 600_000
POOL_RECYCLE_SECONDS = 1_800
_log = logging.getLogger(__name__)
_NEEDED_TABLES = {"runs", "event_logs", "jobs", "instance_info"}
"""One of each store's, and the last that was added: where they are, Dagster has nothing to make."""


class PooledPostgresStorage(DagsterPostgresStorage):
    """Postgres storage that needs no configuration, and few connections, which it keeps open.

    dagster-postgres opens a connection per statement everywhere but in the webserver (14 ms per event instead of 2.4),
    and there up to 21 for each of its three stores. Here all stores of all instances of a process share one pool, which
    is bounded. Kept connections can go stale, so each is tried before it is used; a restarted database fails nothing.
    """

    def __init__(self, postgres_url: str, *, inst_data: ConfigurableClassData | None = None) -> None:
        connections = _of_this_process.connections(postgres_url)
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)
        runs = self._run_storage
        runs.add_run = partial(_add_in_pool, runs.add_run)  # type: ignore[method-assign]
        _share(connections, self._run_storage, self._event_log_storage, self._schedule_storage)
        if not _tables(connections.engine) >= _NEEDED_TABLES:
            self._make_tables(connections.engine)

    def _make_tables(self, engine: Engine) -> None:
        """Let Dagster make what is missing of its tables, unless another process was faster.

        Its stores do that by themselves if they are told to, but each statement on a connection of its own.
        """
        runs, events, schedules = self._run_storage, self._event_log_storage, self._schedule_storage
        try:
            with alone(self.postgres_url):
                there = _tables(engine)
                if "runs" not in there:
                    runs._init_db()
                    runs.migrate()
                    runs.optimize()
                elif "instance_info" not in there:
                    InstanceInfo.create(engine)
                if "event_logs" not in there:
                    events._init_db()
                    events.reindex_events()
                    events.reindex_assets()
                if not there & {"schedules", "jobs"}:
                    schedules._init_db()
        except ProgrammingError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise DatabaseUnavailableError(
                f"Dagster's tables cannot be made in database {engine.url.database!r}: {reason}. Let the "
                "user create tables there, or name another database in CYPHERA_DAGSTER_DATABASE_URL."
            ) from None

    @classmethod
    def config_type(cls) -> dict[str, object]:
        """No configuration: see `Settings`."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: object
    ) -> "PooledPostgresStorage":
        """Called by every process of Dagster's that needs the instance."""
        del config_value
        settings = load_settings()
        url = prepare_dagster_database(settings)
        storage = cls(url.render_as_string(hide_password=False), inst_data=inst_data)
        if _is_daemon():
            engine = _of_this_process.connections(storage.postgres_url).engine
            if (problem := shortage(budget_of(settings), read_server_connections(engine))) is not None:
                _log.warning("%s", problem)
        return storage


def _add_in_pool(add_run: Callable[[DagsterRun], DagsterRun], dagster_run: DagsterRun) -> DagsterRun:
    return add_run(in_pool_of_provider(dagster_run))


def _is_daemon() -> bool:
    """Whether this process is `dagster-daemon`, as `cyphera daemon` becomes, or one that `dagster dev` started."""
    program = Path(sys.argv[0])
    return program.name == "dagster-daemon" or program.parent.name == "_daemon"


def keep_to_one_connection(instance: DagsterInstance) -> None:
    """For a process that carries out a run: from now on its threads take turns at one connection to Dagster's storage.

    Another storage than ours is left alone.
    """
    runs, events, schedules = instance.run_storage, instance.event_log_storage, instance.schedule_storage
    if (
        isinstance(runs, PostgresRunStorage)
        and isinstance(events, PostgresEventLogStorage)
        and isinstance(schedules, PostgresScheduleStorage)
    ):
        connections = _of_this_process.connections(runs.postgres_url)
        connections.keep_to_one()
        _share(connections, runs, events, schedules)


class _Connections:
    """One pool, and of each thread the connection that it holds.

    Dagster asks for a second connection in the middle of some statements (whether a table is there, say). Were that
    another one, threads that hold one each could wait for each other for ever; it gets the one that it holds.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._of_thread = threading.local()
        self._turns: AbstractContextManager[object] = nullcontext()

    @contextmanager
    def connect(self, *_run_id: object, **_options: object) -> Iterator[Connection]:
        """In place of the stores' own methods of that name."""
        held: Connection | None = getattr(self._of_thread, "connection", None)
        if held is not None:
            yield held
            return
        with self._turns, create_pg_connection(self.engine) as connection:
            self._of_thread.connection = connection
            try:
                yield connection
            finally:
                self._of_thread.connection = None

    def keep_to_one(self) -> None:
        """From now on threads take turns.

        The connection that is there stays: another in its place would be one too many until Postgres has ended it.
        """
        if not isinstance(self._turns, nullcontext):
            return
        self._turns = threading.Lock()
        with self._turns, ExitStack() as surplus:
            for _ in range(_idle(self.engine) - DAGSTER_RUN):
                surplus.enter_context(self.engine.connect()).detach()


def _share(
    connections: _Connections,
    runs: PostgresRunStorage,
    events: PostgresEventLogStorage,
    schedules: PostgresScheduleStorage,
) -> None:
    for store in (runs, events, schedules):
        store._engine = connections.engine
        # What the webserver calls would give each store a pool of its own.
        store.optimize_for_webserver = _keep_pool  # type: ignore[method-assign]
    runs.connect = schedules.connect = events._connect = connections.connect  # type: ignore[method-assign]


class _ProcessConnections:
    """By address: those of this process. A forked child begins with none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: dict[tuple[int, str], _Connections] = {}

    def connections(self, url: str) -> _Connections:
        with self._lock:
            key = (os.getpid(), url)
            if key not in self._opened:
                self._opened[key] = _Connections(url)
            return self._opened[key]


_of_this_process = _ProcessConnections()


def _engine(url: str) -> Engine:
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=DAGSTER_SERVICE,
        max_overflow=0,
        # The one that was used last: where threads take turns there is no other.
        pool_use_lifo=True,
        pool_timeout=RUN_PATIENCE,
        pool_recycle=POOL_RECYCLE_SECONDS,
        pool_pre_ping=True,
        connect_args={"application_name": f"cyphera dagster {os.getpid()}", "connect_timeout": 10},
    )
    event.listen(
        engine, "connect", lambda connection, _: set_pg_statement_timeout(connection, STATEMENT_TIMEOUT_MILLISECONDS)
    )
    settings = load_settings()
    is_embedded = settings.is_embedded and settings.dagster_database_url is None
    start_again = (lambda: local.start(settings.home)) if is_embedded else None
    # It tells nobody: a log record may become a row of Dagster's, which takes a connection.
    wait_for_connections(engine, RUN_PATIENCE, start_again=start_again)
    return engine


def _idle(engine: Engine) -> int:
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedin()


def _tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def _keep_pool(*_arguments: Any, **_options: Any) -> None:
    pass
