"""Bringing a database in step with the matrix, changing nothing that is as it should be."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, text

from cyphera_pipelines.store.access.catalog import (
    OF_ANALYST,
    OF_TRANSACTION,
    SCHEMAS,
    Privilege,
    as_shown,
    closed_schemas,
    missing_functions,
    policies,
    privileges,
    wanted_policies,
    wanted_privileges,
    without_row_level_security,
)
from cyphera_pipelines.store.access.everybody import close_doors, doors_to_close
from cyphera_pipelines.store.access.matrix import ROLES_OF_A_TRANSACTION, Role
from cyphera_pipelines.store.access.roles import missing_roles, put_roles_in_place
from cyphera_pipelines.store.tables.metadata import CONTROL_SCHEMA


def is_in_place(connection: Connection) -> bool:
    """Whether nothing is missing: roles, privileges, policies. Cheap, and writes nothing."""
    if missing_roles(connection):
        return False
    if wanted_privileges() - privileges(connection) or closed_schemas(connection):
        return False
    present = {(policy.table, policy.name) for policy in policies(connection)}
    return not (
        {(policy.table, policy.name) for policy in wanted_policies()} - present
        or without_row_level_security(connection)
        or missing_functions(connection)
        or doors_to_close(connection)
    )


def put_in_place(connection: Connection) -> None:
    """Make it as the matrix says, taking away what it does not grant to our roles or to everybody."""
    put_roles_in_place(connection)
    connection.execute(_ENTER_SCHEMAS)
    connection.execute(_MAKE_FUNCTIONS)
    surplus = privileges(connection) - wanted_privileges()
    for statement in _statements(surplus, "REVOKE {what} ON {table} FROM {role}"):
        connection.execute(text(statement))
    # Read again: what is taken away from a table is taken from its columns too.
    for statement in _statements(wanted_privileges() - privileges(connection), "GRANT {what} ON {table} TO {role}"):
        connection.execute(text(statement))
    for table in without_row_level_security(connection):
        connection.execute(text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"))
    _put_policies_in_place(connection)
    connection.execute(_DROP_FORMER_FUNCTION)
    close_doors(connection)


def _statements(wanted: Iterable[Privilege], template: str) -> Iterator[str]:
    """One statement for each table, role and kind of privilege."""
    columns: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for each in sorted(wanted):
        columns[each.table, each.role, each.kind].append(each.column)
    for (table, role, kind), names in columns.items():
        for what in [kind] if "" in names else [f"{kind} ({', '.join(names)})"]:
            yield template.format(what=what, table=table, role=role)


def _put_policies_in_place(connection: Connection) -> None:
    wanted = {(policy.table, policy.name): policy for policy in wanted_policies()}
    shown = as_shown(connection, {policy.expression for policy in wanted.values()})
    for present in policies(connection):
        policy = wanted.get((present.table, present.name))
        definition = (sorted(policy.roles), (shown[policy.expression],) * 2) if policy else None
        if (sorted(present.roles), present.definition) != definition:
            connection.execute(text(f"DROP POLICY {present.name} ON {present.table}"))
        else:
            del wanted[present.table, present.name]
    for table, name, roles, expression in wanted.values():
        connection.execute(
            text(
                f"CREATE POLICY {name} ON {table} TO {', '.join(roles)} USING ({expression}) WITH CHECK ({expression})"
            )
        )


# What policies compared with while an analyst had one workspace.
_DROP_FORMER_FUNCTION = text(f"DROP FUNCTION IF EXISTS {CONTROL_SCHEMA}.workspace_of_analyst()")
_ENTER_SCHEMAS = text(
    f"""
    DO $$ BEGIN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO {Role.TENANT}', current_database());
    END $$;
    """
    + "".join(f"GRANT USAGE ON SCHEMA {schema} TO {', '.join(roles)};" for schema, roles in SCHEMAS.items())
)
# Both go by the role that logged in, which no SET can change. Roles belong to the server: whoever owns another
# installation's database on it may enter the same ones, and sees nothing here, since he is no owner of these tables. No
# workspace named is no row seen. Analysts need no access to the table that is asked.
_MAKE_FUNCTIONS = text(
    f"""
    CREATE OR REPLACE FUNCTION {OF_TRANSACTION} RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (
        SELECT CAST(nullif(current_setting('cyphera.workspace_id', true), '') AS uuid)
        FROM pg_catalog.pg_class WHERE oid = '{CONTROL_SCHEMA}.workspaces'::regclass
            AND pg_has_role(session_user, relowner, 'MEMBER')
    );
    COMMENT ON FUNCTION {OF_TRANSACTION} IS 'The workspace that the transaction names';
    REVOKE ALL ON FUNCTION {OF_TRANSACTION} FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION {OF_TRANSACTION} TO {", ".join(ROLES_OF_A_TRANSACTION)};
    CREATE OR REPLACE FUNCTION {OF_ANALYST} RETURNS uuid[]
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    RETURN (SELECT array_agg(workspace_id) FROM {CONTROL_SCHEMA}.workspace_analysts WHERE role_name = session_user);
    COMMENT ON FUNCTION {OF_ANALYST} IS 'The workspaces that the login role may read';
    REVOKE ALL ON FUNCTION {OF_ANALYST} FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION {OF_ANALYST} TO {Role.ANALYST};
    """
)
