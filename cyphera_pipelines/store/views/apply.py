"""Bringing a database's views in step with their definitions."""

from psycopg2.errors import DependentObjectsStillExist, InvalidFunctionDefinition, InvalidTableDefinition
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.store.access.matrix import Role
from cyphera_pipelines.store.server import server_version
from cyphera_pipelines.store.views.definitions import (
    LIVE_SCHEMA,
    UNIT,
    VIEW_SCHEMAS,
    Function,
    View,
    digest,
    functions,
    unit_expression,
    views,
)

READERS = (Role.TENANT, Role.ANALYST)
OLDEST_VERSION = 15
"""Of Postgres with views that go by the rights of whoever asks (`security_invoker`): before, there are none of ours."""


def has_views(connection: Connection) -> bool:
    """Whether the server is new enough."""
    return server_version(connection) >= (OLDEST_VERSION,)


def are_in_place(connection: Connection) -> bool:
    """Whether the views are this program's, and may be read. Cheap, and writes nothing."""
    return not has_views(connection) or (_noted(connection)[0] == digest() and not _unreadable(connection))


def view_differences(connection: Connection) -> list[str]:
    """What is not as this program makes it, in people's words."""
    if not has_views(connection):
        return []
    found = [
        f"{name} is missing, not to be read, or does not go by its reader's rights" for name in _unreadable(connection)
    ]
    noted, made = _noted(connection)
    if noted != digest():
        found.append("the views are another release's")
    elif not found and made != _as_made(connection):
        found.append("a view or the function that they use was changed by somebody")
    return found


def put_views_in_place(connection: Connection) -> None:
    """Make every view as its file says, and let analysts and workspaces' transactions read it.

    A view whose columns differ is dropped and made anew. Raises CypheraError if something else depends on it.
    """
    if not has_views(connection) or not view_differences(connection):
        return
    readers = ", ".join(READERS)
    _execute(
        connection,
        f"CREATE OR REPLACE FUNCTION {LIVE_SCHEMA}.unit(provider text, currency text) RETURNS numeric "
        f"LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN {unit_expression()}",
        f"COMMENT ON FUNCTION {UNIT} IS 'What one of the minor units that payments holds is in whole units of the "
        "currency: 0.01 for eur; NULL where it is no currency'",
        f"GRANT EXECUTE ON FUNCTION {UNIT} TO {readers}",
    )
    for view in views():
        _make(connection, view)
        _execute(connection, f"GRANT SELECT ON {view.full_name} TO {readers}")
    for function in functions():
        _make_function(connection, function)
        _execute(
            connection,
            f"REVOKE ALL ON FUNCTION {function.signature} FROM PUBLIC",
            f"GRANT EXECUTE ON FUNCTION {function.signature} TO {readers}",
        )
    note = f"{digest()} {_as_made(connection)}"
    for schema, comment in VIEW_SCHEMAS.items():
        _comment(connection, f"SCHEMA {schema}", f"{comment} [{note}]")


def _make(connection: Connection, view: View) -> None:
    make = f"VIEW {view.full_name} WITH (security_invoker = true) AS {view.query}"
    try:
        with connection.begin_nested():
            _execute(connection, f"CREATE OR REPLACE {make}")
    except DBAPIError as error:
        if not isinstance(error.orig, InvalidTableDefinition):
            raise
        _drop(connection, view)
        _execute(connection, f"CREATE {make}")
    _comment(connection, f"VIEW {view.full_name}", view.comment)
    for column in view.columns:
        _comment(connection, f"COLUMN {view.full_name}.{column.name}", column.comment)


def _make_function(connection: Connection, function: Function) -> None:
    try:
        with connection.begin_nested():
            _execute(connection, function.statement)
    except DBAPIError as error:
        if not isinstance(error.orig, InvalidFunctionDefinition):
            raise
        # What it returns has other columns than before, which no replacement may change.
        _execute(connection, f"DROP FUNCTION {function.signature}", function.statement)
    _comment(connection, f"FUNCTION {function.signature}", function.comment)


def _drop(connection: Connection, view: View) -> None:
    """Drop the view, and before it those of ours that use it: they stand behind it, and are made anew in their turn."""
    for other in views():
        if other.schema == view.schema and view.name in other.uses:
            _drop(connection, other)
    try:
        _execute(connection, f"DROP VIEW IF EXISTS {view.full_name}")
    except DBAPIError as error:
        if not isinstance(error.orig, DependentObjectsStillExist):
            raise
        depends = str(getattr(error.orig.diag, "message_detail", None) or "").splitlines()[:1]
        raise CypheraError(
            f"The view {view.full_name} has to be made anew, and something of yours depends on it: {''.join(depends)}. "
            "Drop that, then run again: cyphera db upgrade",
            code=ErrorCode.SCHEMA_MISMATCH,
        ) from None


def _comment(connection: Connection, what: str, comment: str) -> None:
    quoted = comment.replace("'", "''")
    _execute(connection, f"COMMENT ON {what} IS '{quoted}'")


def _execute(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement.replace("%", "%%"))


def _noted(connection: Connection) -> tuple[str, str]:
    """The digest of the definitions that the views were made of, and of what Postgres made of them."""
    comment = connection.execute(_SCHEMA_COMMENT, {"schema": LIVE_SCHEMA}).scalar_one() or ""
    noted, _, made = comment.partition("[")[2].rstrip("]").partition(" ")
    return noted, made


def _as_made(connection: Connection) -> str:
    made = [UNIT, *(function.signature for function in functions())]
    names = {"views": [view.full_name for view in views()], "functions": made}
    return str(connection.execute(_AS_MADE, names).scalar_one())


def _unreadable(connection: Connection) -> list[str]:
    names = {
        "views": [view.full_name for view in views()],
        "functions": [function.signature for function in functions()],
        "roles": [role.value for role in READERS],
    }
    return list(connection.execute(_UNREADABLE, names).scalars())


_SCHEMA_COMMENT = text("SELECT obj_description(to_regnamespace(:schema), 'pg_namespace')")
_AS_MADE = text(
    """
    SELECT md5(
        (SELECT string_agg(pg_get_viewdef(to_regclass(name)), '' ORDER BY name)
         FROM unnest(CAST(:views AS text[])) AS name)
        || (SELECT string_agg(pg_get_functiondef(to_regprocedure(name)), '' ORDER BY name)
            FROM unnest(CAST(:functions AS text[])) AS name)
    )
    """
)
_UNREADABLE = text(
    """
    SELECT name FROM unnest(CAST(:views AS text[])) AS name LEFT JOIN pg_class c ON c.oid = to_regclass(name)
    WHERE c.oid IS NULL OR coalesce(NOT 'security_invoker=true' = ANY (reloptions), true) OR EXISTS (
        SELECT FROM unnest(CAST(:roles AS text[])) AS role WHERE NOT has_table_privilege(role, c.oid, 'SELECT')
    )
    UNION ALL
    SELECT name FROM unnest(CAST(:functions AS text[])) AS name
    LEFT JOIN pg_proc f ON f.oid = to_regprocedure(name)
    WHERE f.oid IS NULL OR f.prosecdef OR EXISTS (
        SELECT FROM unnest(CAST(:roles AS text[])) AS role WHERE NOT has_function_privilege(role, f.oid, 'EXECUTE')
    )
    ORDER BY name
    """
)
