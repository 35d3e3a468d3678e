"""The views for analysts: what they show of each table, to whom, and that databases are kept in step with them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from cyphera_pipelines.model.columns import Kind
from cyphera_pipelines.model.currencies import EXPONENTS, exponent_of
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, all_columns
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store import migrations
from cyphera_pipelines.store.analysts import create_analyst, remove_analyst
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.migrations import SchemaMismatchError
from cyphera_pipelines.store.views.apply import view_differences
from cyphera_pipelines.store.views.definitions import VIEW_SCHEMAS, View, views
from cyphera_pipelines_tests.conftest import new_workspace

NOT_SHOWN = {"livemode", "raw", "content_hash", "source_version", "deleted_at"}
"""What a view of one mode without what is gone has no use for, and the provider's own object."""

CURRENCIES = {
    ("stripe", "eur"): "12.34",
    ("stripe", "jpy"): "1234",
    ("stripe", "kwd"): "1.234",
    ("stripe", "isk"): "12.34",
    ("stripe", "ugx"): "12.34",
    ("stripe", "mga"): "1234",
    ("chargebee", "isk"): "1234",
    ("chargebee", "ugx"): "1234",
    ("chargebee", "mga"): "12.34",
    ("chargebee", "clf"): "0.1234",
    ("stripe", "xxx"): None,
    ("stripe", None): None,
}


@pytest.fixture(scope="module")
def both(database: Database) -> Iterator[tuple[Workspace, Workspace, Engine]]:
    """Two workspaces with a row in every table, mode and state, and an analyst of the first."""
    own, other = new_workspace(database), new_workspace(database)
    for workspace in (own, other):
        with database.control() as connection:
            for table in SYNCED_TABLES.values():
                for livemode in (True, False):
                    for gone in ("NULL", "now()"):
                        add_row(connection, workspace.id, table.name, livemode, gone)
    login = create_analyst(database, f"viewer_{own.id.hex[:12]}", [own])
    url = database.engine.url.set(username=login.role_name, password=login.password)
    yield own, other, create_engine(url, poolclass=NullPool)
    remove_analyst(database, login.role_name)


def add_row(connection, workspace_id: UUID, name: str, livemode: bool, gone: str) -> None:  # type: ignore[no-untyped-def]
    table = SYNCED_TABLES[name]
    values = {"provider": "'stripe'", "livemode": str(livemode), "id": f"'{livemode}-{gone[:4]}'", "deleted_at": gone}
    values |= {"workspace_id": f"'{workspace_id}'", "content_hash": "'x'", "source_version": "now()"}
    for column in table.columns:
        if column.required:
            values[column.name] = {Kind.TIMESTAMP: "now()", Kind.INTEGER: "0"}.get(column.kind, "'eur'")
    connection.execute(text(f"INSERT INTO payments.{name} ({', '.join(values)}) VALUES ({', '.join(values.values())})"))


@pytest.mark.parametrize("table", SYNCED_TABLES)
def test_each_table_s_views_hold_one_mode_and_nothing_that_is_gone(
    both: tuple[Workspace, Workspace, Engine], table: str
) -> None:
    own, _other, engine = both
    with engine.connect() as connection:
        for schema, mode in (("analytics", "True"), ("analytics_test", "False")):
            rows = connection.execute(text(f"SELECT workspace_id, id FROM {schema}.{table}")).all()
            assert [tuple(row) for row in rows] == [(own.id, f"{mode}-NULL")], schema


@pytest.mark.parametrize("table", SYNCED_TABLES)
def test_a_view_has_its_table_s_columns_with_their_comments(table: str) -> None:
    """A column that comes to a table has to come to its view's file too, behind all others."""
    (view,) = (view for view in views() if view.full_name == f"analytics.{table}")
    json = {column.name for column in SYNCED_TABLES[table].columns if column.kind is Kind.JSON} - {"metadata"}
    expected = [name for name, _kind, _comment in all_columns(SYNCED_TABLES[table]) if name not in NOT_SHOWN | json]
    assert [column.name for column in view.columns] == expected
    told = {column.name: column for column in view.columns}
    for name, kind, comment in all_columns(SYNCED_TABLES[table]):
        if kind == "bigint" and "minor units" in comment:
            assert told[name].type == "numeric", name
            assert told[name].comment.endswith("in whole units of `currency`")


@pytest.mark.parametrize("view", views(), ids=lambda view: view.full_name)
def test_a_view_is_what_its_header_says(database: Database, view: View) -> None:
    statement = text(
        "SELECT attname, format_type(atttypid, NULL) AS type, col_description(attrelid, attnum) AS comment "
        "FROM pg_attribute WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 ORDER BY attnum"
    )
    types = {"timestamp with time zone": "timestamptz"}
    with database.control() as connection:
        found = [
            (row[0], types.get(row[1], row[1]), row[2])
            for row in connection.execute(statement, {"name": view.full_name})
        ]
        comment = connection.execute(
            text("SELECT obj_description(CAST(:name AS regclass))"), {"name": view.full_name}
        ).scalar_one()
    told = [(column.name, column.type, column.comment) for column in view.columns]
    if view.name in SYNCED_TABLES:
        found.sort()
        told.sort()
    assert found == told
    assert all(column.comment for column in view.columns)
    assert "minor units" not in " ".join(column.comment for column in view.columns)
    assert comment == view.comment
    columns = {column.name for column in view.columns}
    assert set(view.header("Key").rstrip(".").split(", ")) <= columns
    assert view.header("Grain")
    assert view.header("Rules")


@pytest.mark.parametrize(("provider", "currency"), CURRENCIES)
def test_amounts_are_in_whole_units(database: Database, provider: str, currency: str | None) -> None:
    with database.control() as connection:
        unit = "SELECT 1234 * analytics.unit(:provider, :currency)"
        amount = connection.execute(text(unit), {"provider": provider, "currency": currency}).scalar_one()
    told = CURRENCIES[provider, currency]
    assert (None if amount is None else str(amount)) == told


def test_currencies_are_those_of_the_code(database: Database) -> None:
    listed = text(
        "SELECT own.code, coalesce(other.exponent, own.exponent) AS exponent, "
        "analytics.unit('stripe', own.code) AS unit "
        "FROM analytics.currencies own LEFT JOIN analytics.currencies other ON other.provider = 'stripe' "
        "AND other.code = own.code WHERE own.provider IS NULL"
    )
    with database.control() as connection:
        rows = connection.execute(listed).all()
    assert {row.code for row in rows} == set(EXPONENTS)
    for row in rows:
        assert row.exponent == exponent_of("stripe", row.code)
        assert row.unit == Decimal(10) ** -row.exponent


def test_an_analyst_finds_its_workspaces_by_name_and_no_others(both: tuple[Workspace, Workspace, Engine]) -> None:
    own, _other, engine = both
    with engine.connect() as connection:
        found = connection.execute(text("SELECT workspace_id, slug, name FROM analytics.workspaces")).all()
        assert [tuple(row) for row in found] == [(own.id, own.slug, own.name)]
        for view in views():
            if view.name in SYNCED_TABLES:
                count = connection.execute(text(f"SELECT count(*) FROM {view.full_name}")).scalar_one()
                assert count == 1, view.full_name


def test_a_workspace_s_transaction_reads_its_views(
    database: Database, both: tuple[Workspace, Workspace, Engine]
) -> None:
    _own, other, _engine = both
    with database.tenant(other.id) as connection:
        for view in views():
            if view.name in SYNCED_TABLES:
                owners = connection.execute(text(f"SELECT workspace_id FROM {view.full_name}")).scalars().all()
                assert owners == [other.id], view.full_name


def test_every_view_goes_by_its_reader_s_rights(database: Database) -> None:
    statement = text(
        "SELECT c.oid::regclass::text AS name, reloptions FROM pg_class c WHERE relkind IN ('v', 'm') "
        "AND relnamespace::regnamespace::text = ANY (:schemas)"
    )
    with database.control() as connection:
        found = {row.name: row.reloptions for row in connection.execute(statement, {"schemas": list(VIEW_SCHEMAS)})}
    assert found.keys() == {view.full_name for view in views()}
    assert {tuple(options) for options in found.values()} == {("security_invoker=true",)}


@pytest.mark.parametrize(
    "damage",
    [
        "DROP VIEW analytics.invoices",
        "ALTER VIEW analytics.invoices RENAME COLUMN total TO sum",
        "CREATE OR REPLACE VIEW analytics.workspaces WITH (security_invoker = true) AS "
        "SELECT id AS workspace_id, slug, slug AS name FROM sync.workspaces",
        "CREATE OR REPLACE FUNCTION analytics.unit(provider text, currency text) RETURNS numeric LANGUAGE sql "
        "IMMUTABLE PARALLEL SAFE RETURN 0.01",
        "COMMENT ON SCHEMA analytics IS NULL",
        # Others of ours use it, and stand in the way of another column.
        "ALTER VIEW analytics.mrr_movements_monthly RENAME COLUMN change_mrr TO change",
        "DROP FUNCTION analytics.invoice_aging_as_of(date); CREATE FUNCTION analytics.invoice_aging_as_of(as_of date) "
        "RETURNS integer LANGUAGE sql RETURN 1",
        "DROP FUNCTION analytics_test.invoice_aging_as_of(date)",
        "REVOKE EXECUTE ON FUNCTION analytics.invoice_aging_as_of(date) FROM cyphera_analyst",
    ],
)
def test_what_was_changed_is_told_and_made_anew(damage: str, empty: Engine) -> None:
    migrations.upgrade(empty)
    with empty.begin() as connection:
        assert view_differences(connection) == []
        connection.exec_driver_sql(damage)
        assert view_differences(connection) != []
    migrations.put_access_in_place(empty)
    with empty.begin() as connection:
        assert view_differences(connection) == []
        assert connection.exec_driver_sql("SELECT analytics.unit('stripe', 'jpy')").scalar_one() == 1
    migrations.check(empty)


def test_views_of_another_release_are_replaced_unless_something_depends_on_them(empty: Engine) -> None:
    migrations.upgrade(empty)
    with empty.begin() as connection:
        connection.exec_driver_sql(
            "ALTER VIEW analytics.invoices RENAME COLUMN total TO sum; COMMENT ON SCHEMA analytics IS 'older';"
            "CREATE SCHEMA mine; CREATE VIEW mine.sums AS SELECT sum FROM analytics.invoices"
        )
    with pytest.raises(SchemaMismatchError, match="cyphera db upgrade"):
        migrations.check(empty)
    with pytest.raises(CypheraError, match=r"something of yours depends on it: view mine\.sums"):
        migrations.upgrade(empty)
    with empty.begin() as connection:
        connection.exec_driver_sql("DROP VIEW mine.sums")
    migrations.upgrade(empty)
    migrations.check(empty)


def test_views_are_the_same_in_every_process() -> None:
    """Their digest tells releases apart: each process orders sets in its own way."""
    ask = "from cyphera_pipelines.store.views.definitions import digest; print(digest())"
    told = {
        subprocess.run(
            [sys.executable, "-c", ask], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "12345"
    }
    assert len(told) == 1
