"""Bringing a database in step with the matrix, changing nothing that is as it should be."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, text

from cyphera_pipelines.store.access.matrix import MATRIX, ROLES_OF_A_TRANSACTION, Role
from cyphera_pipelines.store.tables.metadata import CONTROL_SCHEMA, PAYMENTS_SCHEMA

# The sub-selects make Postgres evaluate what is in them once per statement; no workspace named is no row seen.
_NAMED_WORKSPACE = "(SELECT nullif(current_setting('cyphera.workspace_id', true), '')::uuid)"
_ANALYST_S_WORKSPACE = f"(SELECT {CONTROL_SCHEMA}.workspace_of_analyst())"

_PUBLIC = "public"


class Privilege(NamedTuple):
    """One privilege of one role; `column` is empty for the whole table."""

    table: str
    role: str
    kind: str
    column: str


class Policy(NamedTuple):
    """A policy as Postgres shows it; `definition` is its two expressions."""

    table: str
    name: str
    roles: tuple[str, ...]
    definition: tuple[str | None, str | None]


def is_in_place(connection: Connection) -> bool:
    """Whether nothing is missing: roles, privileges, policies. Cheap, and writes nothing."""
    if _missing_roles(connection):
        return False
    if _wanted_privileges() - _privileges(connection) or not connection.execute(_SCHEMAS_ENTERED).scalar_one():
        return False
    present = {(policy.table, policy.name) for policy in _policies(connection)}
    return not (
        {(table, name) for table, name, _roles, _expression in _wanted_policies()} - present
        or _without_row_level_security(connection)
        or connection.execute(_FUNCTION_EXISTS).scalar_one() is None
    )


def put_in_place(connection: Connection) -> None:
    """Make it as the matrix says, taking away what it does not grant to our roles or to everybody."""
    for role in _missing_roles(connection):
        connection.execute(text(_MAKE_ROLE.format(role=role)))
    connection.execute(_ENTER_SCHEMAS)
    connection.execute(_MAKE_FUNCTION)
    surplus = _privileges(connection) - _wanted_privileges()
    for statement in _statements(surplus, "REVOKE {what} ON {table} FROM {role}"):
        connection.execute(text(statement))
    # Read again: what is taken away from a table is taken from its columns too.
    for statement in _statements(_wanted_privileges() - _privileges(connection), "GRANT {what} ON {table} TO {role}"):
        connection.execute(text(statement))
    for table in _without_row_level_security(connection):
        connection.execute(text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"))
    _put_policies_in_place(connection)


def _wanted_privileges() -> set[Privilege]:
    return {
        Privilege(table, role, kind, column)
        for table, roles in MATRIX.items()
        for role, grants in roles.items()
        for kind, columns in grants.items()
        for column in columns or ("",)
    }


def _privileges(connection: Connection) -> set[Privilege]:
    rows = connection.execute(_PRIVILEGES, {"tables": list(MATRIX), "roles": [*Role, _PUBLIC]})
    return {Privilege(*row) for row in rows}


def _statements(privileges: Iterable[Privilege], template: str) -> Iterator[str]:
    """One statement for each table, role and kind of privilege."""
    columns: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for each in sorted(privileges):
        columns[each.table, each.role, each.kind].append(each.column)
    for (table, role, kind), names in columns.items():
        for what in [kind] if "" in names else [f"{kind} ({', '.join(names)})"]:
            yield template.format(what=what, table=table, role=role)


def _wanted_policies() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Table, name, roles and expression of each policy."""
    for table, roles in MATRIX.items():
        column = "id" if table == f"{CONTROL_SCHEMA}.workspaces" else "workspace_id"
        of_transaction = tuple(role.value for role in ROLES_OF_A_TRANSACTION if role in roles)
        if of_transaction:
            yield table, "own_workspace", of_transaction, f"{column} = {_NAMED_WORKSPACE}"
        if Role.ANALYST in roles:
            yield table, "analyst_s_workspace", (Role.ANALYST.value,), f"{column} = {_ANALYST_S_WORKSPACE}"


def _put_policies_in_place(connection: Connection) -> None:
    present = {(policy.table, policy.name): policy for policy in _policies(connection)}
    wanted = {(table, name): (roles, expression) for table, name, roles, expression in _wanted_policies()}
    as_shown = _as_shown(connection, {expression for _roles, expression in wanted.values()})
    for (table, name), policy in present.items():
        roles, expression = wanted.get((table, name), ((), ""))
        shown = as_shown.get(expression)
        if (sorted(policy.roles), policy.definition) != (sorted(roles), (shown, shown)):
            connection.execute(text(f"DROP POLICY {name} ON {table}"))
        else:
            del wanted[table, name]
    for (table, name), (roles, expression) in wanted.items():
        connection.execute(
            text(
                f"CREATE POLICY {name} ON {table} TO {', '.join(roles)} USING ({expression}) WITH CHECK ({expression})"
            )
        )


def _as_shown(connection: Connection, expressions: Iterable[str]) -> dict[str, str]:
    """How Postgres writes the expressions down: it is asked by a policy on a table that is gone at once."""
    shown = {}
    connection.execute(text("CREATE TEMPORARY TABLE scratch (id uuid, workspace_id uuid)"))
    for expression in expressions:
        connection.execute(text(f"CREATE POLICY scratch ON scratch USING ({expression})"))
        shown[expression] = connection.execute(
            text("SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'pg_temp.scratch'::regclass")
        ).scalar_one()
        connection.execute(text("DROP POLICY scratch ON scratch"))
    connection.execute(text("DROP TABLE scratch"))
    return shown


def _policies(connection: Connection) -> list[Policy]:
    rows = connection.execute(_POLICIES, {"tables": list(MATRIX)})
    return [Policy(row.table, row.polname, tuple(row.roles), (row.qual, row.with_check)) for row in rows]


def _missing_roles(connection: Connection) -> list[Role]:
    """Roles that do not exist, or that we may not enter."""
    usable = set(connection.execute(_USABLE_ROLES, {"roles": list(Role)}).scalars())
    return [role for role in Role if role.value not in usable]


def _without_row_level_security(connection: Connection) -> list[str]:
    return list(connection.execute(_WITHOUT_ROW_LEVEL_SECURITY, {"tables": list(MATRIX)}).scalars())


_SCHEMAS = {CONTROL_SCHEMA: ROLES_OF_A_TRANSACTION, PAYMENTS_SCHEMA: (Role.TENANT, Role.ANALYST)}
_OURS = "c.oid = ANY (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) AS name)"
_NAME = "c.relnamespace::regnamespace || '.' || c.relname"
_PRIVILEGES = text(
    f"""
    WITH given AS (
        SELECT {_NAME} AS name, acl.grantee, acl.privilege_type, '' AS column
        FROM pg_class c, aclexplode(c.relacl) AS acl WHERE {_OURS}
        UNION ALL
        SELECT {_NAME}, acl.grantee, acl.privilege_type, a.attname
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) AS acl
        WHERE {_OURS} AND NOT a.attisdropped
    )
    SELECT name, role, privilege_type, given.column
    FROM (SELECT given.*, CASE grantee WHEN 0 THEN '{_PUBLIC}' ELSE pg_get_userbyid(grantee) END AS role FROM given)
        AS given
    WHERE role = ANY (:roles)
    """
)
_POLICIES = text(
    f"""
    SELECT {_NAME} AS "table", p.polname, pg_get_expr(p.polqual, p.polrelid) AS qual,
           pg_get_expr(p.polwithcheck, p.polrelid) AS with_check,
           ARRAY (SELECT pg_get_userbyid(role)::text FROM unnest(p.polroles) AS role) AS roles
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE {_OURS}
    """
)
_WITHOUT_ROW_LEVEL_SECURITY = text(f"SELECT {_NAME} FROM pg_class c WHERE {_OURS} AND NOT c.relrowsecurity")
_USABLE_ROLES = text(
    "SELECT rolname FROM pg_roles WHERE rolname = ANY (:roles) AND pg_has_role(current_user, oid, 'SET')"
)
# Roles belong to the server, not to the database: another database may have made it already, or make it just now.
_MAKE_ROLE = """
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
            CREATE ROLE {role} NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END $$;
    DO $$ BEGIN
        IF NOT pg_has_role(current_user, '{role}', 'SET') THEN
            EXECUTE format('GRANT {role} TO %I', current_user);
        END IF;
    END $$
"""
_ENTER_SCHEMAS = text(
    f"""
    DO $$ BEGIN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO {Role.TENANT}', current_database());
    END $$;
    """
    + "".join(f"GRANT USAGE ON SCHEMA {schema} TO {', '.join(roles)};" for schema, roles in _SCHEMAS.items())
)
_SCHEMAS_ENTERED = text(
    "SELECT "
    + " AND ".join(
        f"has_schema_privilege('{role}', '{schema}', 'USAGE')" for schema, roles in _SCHEMAS.items() for role in roles
    )
)
# By the role that logged in, which no SET can change. Analysts need no access to the table that is asked.
_MAKE_FUNCTION = text(
    f"""
    CREATE OR REPLACE FUNCTION {CONTROL_SCHEMA}.workspace_of_analyst() RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    RETURN (SELECT workspace_id FROM {CONTROL_SCHEMA}.workspace_analysts WHERE role_name = session_user);
    COMMENT ON FUNCTION {CONTROL_SCHEMA}.workspace_of_analyst() IS 'The workspace that the login role may read';
    REVOKE ALL ON FUNCTION {CONTROL_SCHEMA}.workspace_of_analyst() FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION {CONTROL_SCHEMA}.workspace_of_analyst() TO {Role.ANALYST};
    """
)
_FUNCTION_EXISTS = text(f"SELECT to_regprocedure('{CONTROL_SCHEMA}.workspace_of_analyst()')")
