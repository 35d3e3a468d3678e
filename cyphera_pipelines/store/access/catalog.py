"""What the matrix wants, and what a database has of it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, text

from cyphera_pipelines.store.access.matrix import MATRIX, ROLES_OF_A_TRANSACTION, Role
from cyphera_pipelines.store.tables.metadata import CONTROL_SCHEMA, FIGURES_SCHEMA, PAYMENTS_SCHEMA
from cyphera_pipelines.store.views.definitions import UNIT, VIEW_SCHEMAS, functions, views

PUBLIC = "public"
SCHEMAS = {
    CONTROL_SCHEMA: ROLES_OF_A_TRANSACTION,
    **dict.fromkeys((PAYMENTS_SCHEMA, FIGURES_SCHEMA, *VIEW_SCHEMAS), (Role.TENANT, Role.ANALYST)),
}
"""Which roles may enter each schema."""

OF_TRANSACTION = f"{CONTROL_SCHEMA}.workspace_of_transaction()"
OF_ANALYST = f"{CONTROL_SCHEMA}.workspaces_of_analyst()"
FUNCTIONS = (OF_TRANSACTION, OF_ANALYST)
"""What the policies compare a row's workspace with."""
# The second condition says the same and is the one that Postgres looks at before any of the analyst's own: it takes as
# little to evaluate as the cheapest of those that need not wait for a policy, and of equals the policy's come first. By
# the first alone, which takes more, an analyst could ask of all rows whether one has a certain value: EXPLAIN ANALYZE
# shows whether the policy was reached. The first is what an index can be searched by.
_IS_ANALYST_S = (
    f"{{column}} = ANY (CAST((SELECT {OF_ANALYST}) AS uuid[])) "
    f"AND array_position((SELECT {OF_ANALYST}), {{column}}) IS NOT NULL"
)


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


class WantedPolicy(NamedTuple):
    """A policy that the matrix asks for, with the expression that both reads and writes have to meet."""

    table: str
    name: str
    roles: tuple[str, ...]
    expression: str


def wanted_privileges() -> set[Privilege]:
    """All that the matrix grants."""
    return {
        Privilege(table, role, kind, column)
        for table, roles in MATRIX.items()
        for role, grants in roles.items()
        for kind, columns in grants.items()
        for column in columns or ("",)
    }


def privileges(connection: Connection) -> set[Privilege]:
    """What our roles, and everybody, may do with the matrix's tables."""
    rows = connection.execute(_PRIVILEGES, {"tables": list(MATRIX), "roles": [*Role, PUBLIC]})
    return {Privilege(*row) for row in rows}


def wanted_policies() -> Iterator[WantedPolicy]:
    """All policies that the matrix asks for."""
    for table, roles in MATRIX.items():
        column = "id" if table == f"{CONTROL_SCHEMA}.workspaces" else "workspace_id"
        of_transaction = tuple(role.value for role in ROLES_OF_A_TRANSACTION if role in roles)
        # The sub-selects make Postgres evaluate what is in them once per statement.
        if of_transaction:
            yield WantedPolicy(table, "own_workspace", of_transaction, f"{column} = (SELECT {OF_TRANSACTION})")
        if Role.ANALYST in roles:
            own = (Role.ANALYST.value,)
            yield WantedPolicy(table, "analyst_s_workspace", own, _IS_ANALYST_S.format(column=column))


def policies(connection: Connection) -> list[Policy]:
    """The policies on the matrix's tables."""
    rows = connection.execute(_POLICIES, {"tables": list(MATRIX)})
    return [Policy(row.table, row.polname, tuple(row.roles), (row.qual, row.with_check)) for row in rows]


def as_shown(connection: Connection, expressions: Iterable[str]) -> dict[str, str]:
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


def without_row_level_security(connection: Connection) -> list[str]:
    """The matrix's tables that show everything to whoever may read them."""
    return list(connection.execute(_WITHOUT_ROW_LEVEL_SECURITY, {"tables": list(MATRIX)}).scalars())


def missing_functions(connection: Connection) -> list[str]:
    """The policies' functions that are not there."""
    return [name for name in FUNCTIONS if connection.execute(_FUNCTION, {"name": name}).scalar_one() is None]


def closed_schemas(connection: Connection) -> list[tuple[str, Role]]:
    """Schemas that a role should be able to enter and cannot. The roles have to exist."""
    doors = [(schema, role.value) for schema, roles in SCHEMAS.items() for role in roles]
    values = {"schemas": [schema for schema, _role in doors], "roles": [role for _schema, role in doors]}
    return [(row.schema, Role(row.role)) for row in connection.execute(_CLOSED_SCHEMAS, values)]


def ownership_statements(connection: Connection) -> list[str]:
    """What makes us the owner of all that is in our schemas, where others are, as after they restored a dump.

    In the schemas of the views, others may keep views of their own.
    """
    ours = [f"VIEW {view.full_name}" for view in views()]
    ours += [f"FUNCTION {signature}" for signature in (UNIT, *(function.signature for function in functions()))]
    values = {
        "schemas": [CONTROL_SCHEMA, PAYMENTS_SCHEMA, FIGURES_SCHEMA],
        "of_views": list(VIEW_SCHEMAS),
        "ours": ours,
    }
    return list(connection.execute(_OWNERSHIP, values).scalars())


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
    FROM (SELECT given.*, CASE grantee WHEN 0 THEN '{PUBLIC}' ELSE pg_get_userbyid(grantee) END AS role FROM given)
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
_FUNCTION = text("SELECT to_regprocedure(:name)")
_CLOSED_SCHEMAS = text(
    "SELECT schema, role FROM unnest(CAST(:schemas AS text[]), CAST(:roles AS text[])) AS door (schema, role) "
    "WHERE NOT has_schema_privilege(role, schema, 'USAGE')"
)
_OWNERSHIP = text(
    """
    WITH found AS (
        SELECT 1 AS turn, nspowner AS owner, format('SCHEMA %I', nspname) AS what, oid AS schema FROM pg_namespace
        UNION ALL
        SELECT 2, relowner, CASE relkind WHEN 'v' THEN 'VIEW ' WHEN 'm' THEN 'MATERIALIZED VIEW ' ELSE 'TABLE ' END
            || relnamespace::regnamespace || '.' || quote_ident(relname), relnamespace
        FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm')
        UNION ALL
        SELECT 3, proowner, 'FUNCTION ' || oid::regprocedure, pronamespace FROM pg_proc WHERE prokind = 'f'
    )
    SELECT format('ALTER %s OWNER TO %I;', what, current_user) FROM found
    WHERE NOT pg_has_role(current_user, owner, 'USAGE') AND (schema::regnamespace::text = ANY (:schemas)
        OR (schema::regnamespace::text = ANY (:of_views) AND (turn = 1 OR what = ANY (:ours))))
    ORDER BY turn, what
    """
)
