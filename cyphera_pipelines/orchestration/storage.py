"""Dagster's storage: in Postgres, found through our settings, over connections that are kept."""

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from sqlalchemy import Engine, event, make_url
from sqlalchemy.exc import DisconnectionError, ProgrammingError

from cyphera_pipelines.orchestration.dagster_database import alone, prepare_dagster_database
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.database import DatabaseUnavailableError

# Bounds a statement that is stuck behind a lock, and leaves time to migrate a large event log.
STATEMENT_TIMEOUT_MILLISECONDS = 600_000
POOL_RECYCLE_SECONDS = 1_800
# Connections beyond the one that is kept, for the threads of a code server or the daemon.
MAX_OVERFLOW = 20


class PooledPostgresStorage(DagsterPostgresStorage):
    """Postgres storage that needs no configuration and keeps its connections open.

    dagster-postgres opens a connection per statement everywhere but in the webserver: 14 ms per event instead of 2.4.
    Kept connections can go stale, so each is tried before it is used; a restarted database fails nothing.
    """

    def __init__(self, postgres_url: str, *, inst_data: ConfigurableClassData | None = None) -> None:
        try:
            with alone(postgres_url):
                super().__init__(postgres_url, inst_data=inst_data)
        except ProgrammingError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise DatabaseUnavailableError(
                f"Dagster's tables cannot be made in database {make_url(postgres_url).database!r}: {reason}. Let the "
                "user create tables there, or name another database in CYPHERA_DAGSTER_DATABASE_URL."
            ) from None
        for store in (self._run_storage, self._event_log_storage, self._schedule_storage):
            store.optimize_for_webserver(
                statement_timeout=STATEMENT_TIMEOUT_MILLISECONDS,
                pool_recycle=POOL_RECYCLE_SECONDS,
                max_overflow=MAX_OVERFLOW,
            )
            _try_before_use(store._engine)

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
        url = prepare_dagster_database(load_settings())
        return cls(url.render_as_string(hide_password=False), inst_data=inst_data)


def _try_before_use(engine: Engine) -> None:
    @event.listens_for(engine, "checkout")
    def ping(connection: object, _record: object, _proxy: object) -> None:
        try:
            engine.dialect.do_ping(connection)  # type: ignore[arg-type]
        except engine.dialect.loaded_dbapi.Error:
            # The pool then connects anew.
            raise DisconnectionError from None
