"""Whether a database is as this program needs it, told for people: what `cyphera db check` shows. Changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from cyphera_pipelines.connection_budget import budget_of
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store import migrations
from cyphera_pipelines.store.access.catalog import ownership_statements
from cyphera_pipelines.store.access.differences import grant_differences, row_level_security_differences
from cyphera_pipelines.store.access.roles import missing_roles
from cyphera_pipelines.store.database import Database, connect
from cyphera_pipelines.store.migrations import SchemaMismatchError
from cyphera_pipelines.store.provisioning import connected, connection_problem
from cyphera_pipelines.store.server import NEWEST_VERSION, OLDEST_VERSION, server_version
from cyphera_pipelines.store.server_connections import read_server_connections, shortage
from cyphera_pipelines.store.stored_credentials import unreadable_credentials
from cyphera_pipelines.store.views.apply import OLDEST_VERSION as OLDEST_WITH_VIEWS
from cyphera_pipelines.store.views.apply import has_views, view_differences

SHOWN = 5
"""Differences of one kind that are named; the others are counted."""
UPGRADE = "Run: cyphera db upgrade"


class State(StrEnum):
    """How something was found."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """It could not be looked at, since something before it is wrong."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it was found, and what to do about it if anything."""

    name: str
    state: State
    found: str
    remedy: str | None = None


def inspect_database(settings: Settings, load_keys: Callable[[], Keyring]) -> list[Finding]:
    """Look at everything that has to be right, in the order in which one thing needs the other."""
    try:
        database = connect(settings, application_name="cyphera db check", pool_size=1)
    except CypheraError as error:
        _server_itself, *others = (*_LOOKS, _KEYS, _DAGSTER)
        unreachable = Finding("server", State.WRONG, str(error), "Set that right, then check again.")
        return [unreachable, *(Finding(name, State.UNKNOWN, "not looked at") for name in others)]
    try:
        return list(_inspect(database, settings, load_keys))
    finally:
        database.close()


def _inspect(database: Database, settings: Settings, load_keys: Callable[[], Keyring]) -> Iterator[Finding]:
    is_usable = True
    for name, look in _LOOKS.items():
        if not is_usable and name in _NEED_A_SCHEMA:
            yield Finding(name, State.UNKNOWN, "not looked at")
            continue
        finding = _safely(name, partial(look, database, settings))
        yield finding
        is_usable = is_usable and (finding.state is State.OK or name not in _NEEDED_BY_OTHERS)
    if is_usable:
        yield _safely(_KEYS, lambda: _encryption_keys(database, load_keys))
    else:
        yield Finding(_KEYS, State.UNKNOWN, "not looked at")
    yield _safely(_DAGSTER, lambda: _dagster_database(database.dagster_url))


def _safely(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except CypheraError as error:
        return Finding(name, State.WRONG, str(error), "Set that right, then check again.")
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return Finding(name, State.WRONG, f"the database refuses to tell: {reason}", UPGRADE)


def _server(database: Database, _settings: Settings) -> Finding:
    with database.engine.connect() as connection:
        version = server_version(connection)
    told = f"PostgreSQL {'.'.join(map(str, version))}"
    if version >= (NEWEST_VERSION + 1,):
        told += f", newer than those that this program is tried with ({OLDEST_VERSION} to {NEWEST_VERSION})"
    return Finding("server", State.OK, told)


def _database(database: Database, _settings: Settings) -> Finding:
    with database.engine.connect() as connection:
        name, user, compresses = connection.execute(_ABOUT).one()
        strangers = ownership_statements(connection)
    found = (
        f"{name}, as {user}; raw is kept {'with lz4' if compresses else 'uncompressed, since the server has no lz4'}"
    )
    if not strangers:
        return Finding("database", State.OK, found)
    return Finding(
        "database",
        State.WRONG,
        f"{name}: {len(strangers)} tables, schemas and functions belong to another user than {user}",
        f"{UPGRADE}, which tells what an administrator has to do",
    )


def _schema(database: Database, _settings: Settings) -> Finding:
    current, head = migrations.current_revision(database.engine), migrations.head_revision()
    if current == head:
        return Finding("schema", State.OK, f"revision {current}")
    try:
        migrations.check(database.engine)
    except SchemaMismatchError as error:
        reason, _, remedy = str(error).partition(". ")
        return Finding("schema", State.WRONG, reason, remedy)
    raise AssertionError("the check agrees with a revision that is not this program's")


def _roles(database: Database, _settings: Settings) -> Finding:
    with database.engine.connect() as connection:
        missing = missing_roles(connection)
    if not missing:
        return Finding("roles", State.OK, "all there, and may be entered")
    return Finding("roles", State.WRONG, f"missing, or not to be entered: {', '.join(missing)}", UPGRADE)


def _grants(database: Database, _settings: Settings) -> Finding:
    return _of_differences("grants", database, grant_differences)


def _row_level_security(database: Database, _settings: Settings) -> Finding:
    return _of_differences("row-level security", database, row_level_security_differences)


def _views(database: Database, _settings: Settings) -> Finding:
    with database.engine.connect() as connection:
        if not has_views(connection):
            return Finding("views", State.OK, f"none: they need PostgreSQL {OLDEST_WITH_VIEWS} or newer")
    return _of_differences("views", database, view_differences)


def _of_differences(name: str, database: Database, differences: Callable[[Connection], list[str]]) -> Finding:
    with database.engine.connect() as connection:
        found = differences(connection)
        connection.rollback()
    if not found:
        return Finding(name, State.OK, "as declared")
    rest = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return Finding(name, State.WRONG, "; ".join(found[:SHOWN]) + rest, UPGRADE)


def _connections(database: Database, settings: Settings) -> Finding:
    budget, server = budget_of(settings), read_server_connections(database.engine)
    problem = shortage(budget, server)
    if problem is None:
        return Finding("connections", State.OK, f"{server.left} left for us, {budget.needed} needed at most")
    reason, _, remedy = problem.partition(". ")
    return Finding("connections", State.WRONG, reason, remedy)


def _encryption_keys(database: Database, load_keys: Callable[[], Keyring]) -> Finding:
    keys = load_keys()
    count, unreadable = unreadable_credentials(database, keys)
    if not unreadable:
        return Finding(_KEYS, State.OK, f"all {count} stored credentials open; the newest key is {keys.current.key_id}")
    named = "; ".join(f"{each.workspace} {each.provider}: {each.reason}" for each in unreadable[:SHOWN])
    rest = f"; and {len(unreadable) - SHOWN} more" if len(unreadable) > SHOWN else ""
    return Finding(
        _KEYS,
        State.WRONG,
        f"{len(unreadable)} of {count} stored credentials do not open: {named}{rest}",
        "See which keys they need with: cyphera keys show",
    )


def _dagster_database(url: URL) -> Finding:
    problem = connection_problem(url)
    if problem is not None:
        return Finding(_DAGSTER, State.WRONG, f"{url.database} cannot be used: {problem}", UPGRADE)
    with connected(url) as connection:
        has_tables, may_make_them = connection.execute(_ABOUT_DAGSTER).one()
    if has_tables or may_make_them:
        found = f"{url.database}, {'with its tables' if has_tables else 'without tables yet: Dagster makes them'}"
        return Finding(_DAGSTER, State.OK, found)
    return Finding(_DAGSTER, State.WRONG, f"{url.username} may make no tables in {url.database}", UPGRADE)


_LOOKS: dict[str, Callable[[Database, Settings], Finding]] = {
    "server": _server,
    "database": _database,
    "schema": _schema,
    "roles": _roles,
    "grants": _grants,
    "row-level security": _row_level_security,
    "views": _views,
    "connections": _connections,
}
_NEEDED_BY_OTHERS = ("database", "schema", "roles")
_NEED_A_SCHEMA = ("schema", "roles", "grants", "row-level security", "views")
_KEYS, _DAGSTER = "encryption keys", "Dagster's database"
_ABOUT = text(
    """
    SELECT current_database(), current_user,
        (SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression')
    """
)
_ABOUT_DAGSTER = text("SELECT to_regclass('runs') IS NOT NULL, has_schema_privilege(current_schema(), 'CREATE')")
