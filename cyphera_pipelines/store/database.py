"""Connections to the product's database, and the two kinds of transaction that everything else uses."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from cyphera_pipelines import local
from cyphera_pipelines.connection_budget import SYNC
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.security.secrets import redact, register_secret
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store import migrations
from cyphera_pipelines.store.access.matrix import ROLES_OF_A_TRANSACTION, Role
from cyphera_pipelines.store.connection_waits import (
    COMMAND_PATIENCE,
    ConnectionPatience,
    DatabaseUnavailableError,
    take_all_connections,
    wait_for_connections,
)
from cyphera_pipelines.store.pool import PoolInOrder
from cyphera_pipelines.store.provisioning import provide_databases
from cyphera_pipelines.store.server import check_server

DATABASE_ERRORS = (SQLAlchemyError, DatabaseUnavailableError)
"""What is raised where the database does not do as it is told: a statement failed, or there is no connection."""

POOL_MARGIN = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Database:
    """The product's database. `dagster_url` is where Dagster keeps its own storage."""

    engine: Engine
    psql_url: str
    dagster_url: URL
    patience: ConnectionPatience = field(default_factory=lambda: ConnectionPatience(COMMAND_PATIENCE))
    _closing: ExitStack = field(default_factory=ExitStack, repr=False, compare=False)

    @contextmanager
    def control(self) -> Iterator[Connection]:
        """A transaction of the pipeline itself, which sees every workspace: for look-ups across workspaces only."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def tenant(
        self,
        workspace_id: UUID,
        connection: Connection | None = None,
        *,
        role: Role = Role.TENANT,
        alone: bool = False,
    ) -> Iterator[Connection]:
        """A transaction of one workspace: row-level security lets it see and write that workspace's rows only.

        What it may do with them is the role's, which is declared in `access.matrix`.

        It is made on the given connection, which has none open, or on one of the pool's. `alone` makes it wait until no
        other transaction that is alone goes on for the workspace: for what must not happen twice at once.
        """
        with self.engine.connect() if connection is None else nullcontext(connection) as used, used.begin():
            if alone:
                # Before the role is entered, which may not lock the row: no tenant can hold up another's.
                used.execute(_TAKE_TURN, {"workspace_id": workspace_id})
            used.execute(_ENTER[role], {"workspace_id": str(workspace_id)})
            yield used

    @property
    def is_in_demand(self) -> bool:
        """Whether somebody waits for one of the pool's connections."""
        pool = self.engine.pool
        return isinstance(pool, PoolInOrder) and pool.turns.waiting > 0

    def take_connections_of_sync(self) -> None:
        """Have all connections that a sync may need before it begins: see `take_all_connections`."""
        take_all_connections(self.engine, SYNC, self.patience)

    def before_close(self, end: Callable[[], None]) -> None:
        """Call this before the connections are closed: it ends what uses them beside whoever closes the database."""
        self._closing.callback(end)

    def close(self) -> None:
        """Close all pooled connections."""
        self._closing.close()
        self.engine.dispose()


_TAKE_TURN = text("SELECT FROM sync.workspaces WHERE id = :workspace_id FOR NO KEY UPDATE")
_ENTER = {
    role: text(f"SET LOCAL ROLE {role}; SELECT set_config('cyphera.workspace_id', :workspace_id, true)")
    for role in ROLES_OF_A_TRANSACTION
}


def open_database(
    settings: Settings,
    *,
    application_name: str = "cyphera",
    pool_size: int = SYNC,
    patience: float = COMMAND_PATIENCE,
) -> Database:
    """Connect, starting the embedded Postgres in embedded mode, and make sure that the schema fits this program.

    Embedded databases are migrated; for others an older or newer schema is an error that says what to do. There are
    never more than `pool_size` connections. Whoever wants one waits for up to `patience` seconds, both where the
    others of this process have them all and where the server has none to give. Postgres shows them under
    `application_name` and this process's id.
    """
    database = connect(settings, application_name=application_name, pool_size=pool_size, patience=patience)
    if settings.is_embedded:
        migrations.upgrade(database.engine)
    else:
        migrations.check(database.engine)
    return database


def upgrade_database(settings: Settings) -> tuple[str | None, str]:
    """Bring the schema to this program's revision and return (revision before, revision now).

    On a server of one's own, missing databases are made first. Roles, grants and policies are made as they are
    declared, whatever was done to them. Raises AdministratorNeededError where we may not, with nothing half done.
    """
    if not settings.is_embedded:
        provide_databases(settings)
    database = connect(settings, application_name="cyphera db upgrade", pool_size=1)
    try:
        revisions = migrations.upgrade(database.engine)
        migrations.put_access_in_place(database.engine)
        return revisions
    finally:
        database.close()


def connect(
    settings: Settings, *, application_name: str, pool_size: int, patience: float = COMMAND_PATIENCE
) -> Database:
    """Connect, starting the embedded Postgres in embedded mode, whatever is in the database."""
    if settings.is_embedded:
        server = local.start(settings.home)
        url, psql_url = make_url(server.url()), server.psql_url()
        dagster_url = make_url(server.url("dagster"))
    else:
        url, dagster_url = settings.application_url(), settings.dagster_storage_url()
        for address in (url, dagster_url):
            register_secret(str(address.password or ""))
        psql_url = url.set(drivername="postgresql").render_as_string(hide_password=False)
    engine = create_engine(
        url,
        poolclass=PoolInOrder,
        pool_size=pool_size,
        max_overflow=0,
        # Later than whoever waits for the server: that tells more.
        pool_timeout=patience + POOL_MARGIN,
        pool_pre_ping=True,
        client_encoding="utf8",
        json_deserializer=_read_json,
        json_serializer=_to_json,
        connect_args={"application_name": f"{application_name} {os.getpid()}", "connect_timeout": 10},
    )
    start_again = (lambda: local.start(settings.home)) if settings.is_embedded else None
    own = wait_for_connections(engine, patience, on_wait=_tell_of_wait, start_again=start_again)
    database = Database(engine, psql_url, dagster_url, own)
    check_reachable(database)
    return database


def _read_json(value: str) -> Any:
    """The JSON value; its text where Python refuses it, as a number of 5,000 digits or a depth of 1,000."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _to_json(value: object) -> str:
    """What is written to a `jsonb` column: whatever text a provider's id or an error put into it, it can be stored."""
    return json.dumps(storable(value))


def _tell_of_wait(reason: str) -> None:
    _log.warning("Waiting for a connection to the database: %s", reason)


def check_reachable(database: Database) -> None:
    """Raise DatabaseUnavailableError with one plain line if no connection can be made, or none that is of use to us."""
    try:
        with database.engine.connect() as connection:
            check_server(connection)
    except OperationalError as error:
        # Without the driver's name, which says nothing to whoever gave the address.
        address = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=True)
        reason = str(error.orig).strip().splitlines()[0].rstrip(".") if error.orig else "no connection"
        raise DatabaseUnavailableError(
            redact(
                f"The database {address} cannot be reached: {reason}. Check CYPHERA_DATABASE_URL; a database that is "
                "missing is made by: cyphera db upgrade"
            )
        ) from None
