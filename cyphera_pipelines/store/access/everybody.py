"""What Postgres lets everybody do in a database until somebody forbids it, and an analyst has no business doing."""

from sqlalchemy import Connection, text

from cyphera_pipelines.model.columns import Kind
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.store.tables.metadata import PAYMENTS_SCHEMA

PERSONAL_TEXTS = [
    f"{PAYMENTS_SCHEMA}.{table.name}.{column.name}"
    for table in SYNCED_TABLES.values()
    for column in table.columns
    if column.is_personal and column.kind is Kind.TEXT
]
"""Columns of which Postgres keeps no values in its statistics: EXPLAIN would let analysts guess at other workspaces'.

Of JSON it uses none for those who are under a policy, since JSON's operators might tell what they compare.
"""


def doors_to_close(connection: Connection) -> dict[str, str]:
    """What is open and ours to close: in words, and the statement that closes it.

    That is making temporary tables, making objects in the schema `public` (before Postgres 15), and making large
    objects, which only a superuser may forbid; and looking at people's data through the planner's statistics.
    """
    rows = connection.execute(_OPEN, {"personal": PERSONAL_TEXTS})
    return {row.what: row.statement for row in rows}


def close_doors(connection: Connection) -> None:
    """Take from everybody what is ours to take."""
    for statement in doors_to_close(connection).values():
        connection.exec_driver_sql(statement.replace("%", "%%"))


_OPEN = text(
    """
    SELECT 'everybody may make temporary tables' AS what,
        format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', datname) AS statement
    FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) AS acl
    WHERE datname = current_database() AND acl.grantee = 0 AND acl.privilege_type = 'TEMPORARY'
        AND pg_has_role(current_user, datdba, 'USAGE')
    UNION ALL
    SELECT 'everybody may make objects in schema public',
        format('REVOKE %s ON SCHEMA public FROM PUBLIC', acl.privilege_type)
    FROM pg_namespace, aclexplode(nspacl) AS acl
    WHERE nspname = 'public' AND acl.grantee = 0 AND acl.privilege_type = 'CREATE'
        AND pg_has_role(current_user, nspowner, 'USAGE')
    UNION ALL
    SELECT format('everybody may make large objects with %s', oid::regprocedure),
        format('REVOKE EXECUTE ON FUNCTION pg_catalog.%s FROM PUBLIC', oid::regprocedure)
    FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS acl
    WHERE pronamespace = 'pg_catalog'::regnamespace AND proname IN ('lo_creat', 'lo_create', 'lo_from_bytea')
        AND acl.grantee = 0 AND pg_has_role(current_user, proowner, 'USAGE')
    UNION ALL
    SELECT format('Postgres keeps values of %s.%I in its statistics', attrelid::regclass, attname),
        format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', attrelid::regclass, attname)
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE relnamespace = to_regnamespace('payments') AND attstattarget IS DISTINCT FROM 0
        AND format('payments.%s.%s', relname, attname) = ANY (:personal)
    """
)
