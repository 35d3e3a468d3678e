"""The schema's migrations (Alembic) and the check that a database fits this program.

Every process looks whether its database fits, and hardly any has something to migrate: Alembic, and all migrations, are
loaded only then.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.store.access import apply as access
from cyphera_pipelines.store.access.administrator import AdministratorNeededError
from cyphera_pipelines.store.access.catalog import ownership_statements
from cyphera_pipelines.store.access.roles import put_roles_in_place
from cyphera_pipelines.store.table_lock import locked_table
from cyphera_pipelines.store.tables.metadata import CONTROL_SCHEMA
from cyphera_pipelines.store.views import apply as views

if TYPE_CHECKING:
    from alembic.config import Config

    from cyphera_pipelines.store.migrations.applying import Migrations

_VERSIONS = Path(__file__).with_name("versions")
VERSION_TABLE = "schema_version"
# As Alembic makes it.
_VERSION_COLUMNS = f"version_num varchar(32) NOT NULL CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY"


class SchemaMismatchError(CypheraError):
    """The database's schema is older or newer than this program's."""

    code = ErrorCode.SCHEMA_MISMATCH


def head_revision() -> str:
    """The revision that this program is written for."""
    return max(_known_revisions())


def current_revision(engine: Engine) -> str | None:
    """The revision that the database is at; None for a database without our schema."""
    with engine.connect() as connection:
        return _revision_of(connection)


def _revision_of(connection: Connection) -> str | None:
    if connection.execute(_VERSION_TABLE_IF_THERE).scalar_one() is None:
        return None
    return connection.execute(_REVISION).scalar_one_or_none()


def check(engine: Engine) -> None:
    """Raise SchemaMismatchError unless the database is at this program's revision, with its roles and privileges."""
    if _ownership_statements(engine):
        raise SchemaMismatchError(
            "The tables belong to another user of the database, as after that one restored a dump. "
            "Run: cyphera db upgrade, which tells what an administrator has to do"
        )
    current, head = current_revision(engine), head_revision()
    if current == head:
        if not _has_access(engine):
            raise SchemaMismatchError(
                "The database lacks roles or privileges of this program's, or its views, as after a restore. "
                "Run: cyphera db upgrade"
            )
        return
    if current is None:
        raise SchemaMismatchError("The database has no Cyphera schema yet. Run: cyphera db upgrade")
    if current in _known_revisions():
        raise SchemaMismatchError(
            f"The database's schema is older (revision {current}) than this program (revision {head}). "
            "Run: cyphera db upgrade"
        )
    raise SchemaMismatchError(
        f"The database's schema (revision {current}) is newer than this program (revision {head}). "
        "Upgrade cyphera-pipelines; nothing was changed."
    )


def upgrade(engine: Engine) -> tuple[str | None, str]:
    """Bring the schema to this program's revision and return (revision before, revision now).

    Roles, grants and policies that are missing are made, also where the schema is up to date.

    Each migration is a transaction of its own, so that one may rely on what another has committed, and holds its locks
    no longer than it has to. Safe to call from many processes at once, and again after one was interrupted; a newer
    schema is refused with SchemaMismatchError, and what needs more rights than ours with AdministratorNeededError.
    """
    if statements := _ownership_statements(engine):
        raise AdministratorNeededError(
            f"What is in database {engine.url.database!r} belongs to another user; the SQL is for that database",
            statements,
        )
    before, head = current_revision(engine), head_revision()
    if before == head and _has_access(engine):
        return before, head
    if before is not None and before not in _known_revisions():
        check(engine)
    upgrade_tables(engine)
    put_access_in_place(engine)
    return before, head


def upgrade_tables(engine: Engine) -> None:
    """Apply the migrations that are missing, without grants: what `access.matrix` names may have no migration yet."""
    head = head_revision()
    # Before the migrations, some of which name a role.
    with _alone(engine) as connection:
        put_roles_in_place(connection)
    if current_revision(engine) != head:
        from cyphera_pipelines.store.migrations.applying import Migrations

        migrations = Migrations()
        while _upgrade_by_one(engine, migrations, head):
            pass


def put_access_in_place(engine: Engine) -> None:
    """Make roles, grants and policies as `access.matrix` says, and the views: what is missing, and what differs."""
    with _alone(engine) as connection:
        access.put_in_place(connection)
        views.put_views_in_place(connection)


def _upgrade_by_one(engine: Engine, migrations: "Migrations", head: str) -> bool:
    """Apply the next migration; return whether there was one. Another process may have been quicker."""
    with _alone(engine) as connection:
        if _revision_of(connection) == head:
            return False
        migrations.apply_next(connection)
    return True


def _alone(engine: Engine) -> AbstractContextManager[Connection]:
    """A transaction in which nobody else changes the schema."""
    return locked_table(engine, f"{CONTROL_SCHEMA}.{VERSION_TABLE}", _VERSION_COLUMNS)


def _ownership_statements(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return ownership_statements(connection)


def _has_access(engine: Engine) -> bool:
    with engine.connect() as connection:
        return access.is_in_place(connection) and views.are_in_place(connection)


def _known_revisions() -> frozenset[str]:
    """The revisions of this program, by the files' names: each begins with its four digits."""
    return frozenset(file.name.partition("_")[0] for file in _VERSIONS.glob("[0-9]*_*.py"))


def alembic_config() -> "Config":
    """Alembic's configuration; its attribute `connection` is still to be set."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


_VERSION_TABLE_IF_THERE = text(f"SELECT to_regclass('{CONTROL_SCHEMA}.{VERSION_TABLE}')")
_REVISION = text(f"SELECT version_num FROM {CONTROL_SCHEMA}.{VERSION_TABLE}")
