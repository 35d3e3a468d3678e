"""What migrations of synced tables have at hand: new columns filled from the objects that are there, new entities."""

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, text

from cyphera_pipelines.model.columns import Column, Kind, SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.mapping.rows import UnmappableValueError, row_mapper
from cyphera_pipelines.providers.mapping.values import path
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.migrations.filling import fill_from_raw
from cyphera_pipelines.store.migrations.new_entities import keep_raw_as_others_do, let_positions_be_of

COLUMNS = {
    Kind.TEXT: ("invoices", "description"),
    Kind.INTEGER: ("invoices", "amount_due"),
    Kind.BOOLEAN: ("invoices", "attempted"),
    Kind.TIMESTAMP: ("invoices", "due_date"),
    Kind.NUMERIC: ("invoice_line_items", "unit_amount_decimal"),
    Kind.JSON: ("invoices", "discounts"),
}
ODD_VALUES: list[Any] = [
    None, "", "text", "12.50", "-0.5", "1e3", "12;5", "true", 0, 1, -7, 2**62, 2**63, 2**70, 12.0, 12.5, -62135596801,
    1_790_812_800, 253402300800, True, False, [], ["di_1"], {}, {"id": "x"},
]  # fmt: skip


def mapped(kind: Kind, value: Any) -> Any:
    """What the mapping makes of the value; None where it does not fit."""
    table = SyncedTable("odd", Entity.INVOICES, "", (Column("column", kind, ""),))
    try:
        (found,) = row_mapper(table, {"column": path("a", "b")})({"a": {"b": value}})
    except UnmappableValueError:
        return None
    if found is not None and kind is Kind.TIMESTAMP:
        return datetime.fromtimestamp(found, UTC)
    return Decimal(found) if found is not None and kind is Kind.NUMERIC else found


def insert(connection: Connection, table: str, raws: list[Any]) -> None:
    of_table = {"invoices": ("created", "now()"), "invoice_line_items": ("invoice_id, line_index", "'in_1', 0")}
    columns, values = of_table[table]
    connection.execute(
        text(
            f"INSERT INTO payments.{table} (workspace_id, provider, livemode, id, {columns}, raw, content_hash, "
            f"source_version) "
            f"VALUES (gen_random_uuid(), 'stripe', false, :id, {values}, CAST(:raw AS jsonb), '', now())"
        ),
        [{"id": f"odd_{at:03d}", "raw": None if raw is None else json.dumps(raw)} for at, raw in enumerate(raws)],
    )


@pytest.mark.parametrize("kind", list(Kind))
def test_a_column_is_filled_as_the_mapping_would(kind: Kind, database: Database) -> None:
    table, column = COLUMNS[kind]
    values = [value for value in ODD_VALUES if not (isinstance(value, float) and kind is Kind.TEXT)]
    raws = [{"a": {"b": value}} for value in values]
    elsewhere = [None, {}, {"a": None}, {"a": "b"}, {"a": {}, "old": values[-1]}]
    with database.engine.connect() as connection, connection.begin() as transaction:
        insert(connection, table, [*raws, *elsewhere])
        with Operations.context(MigrationContext.configure(connection)):
            fill_from_raw(table, column, kind, "a.b", "old")
            fill_from_raw(table, column, kind, "a.b", "old")
        found = connection.execute(text(f"SELECT {column} FROM payments.{table} WHERE id LIKE 'odd_%' ORDER BY id"))
        filled = list(found.scalars())
        transaction.rollback()
    wanted = [mapped(kind, value) for value in values]
    assert filled == [*wanted, None, None, None, None, mapped(kind, values[-1])]
    assert not any(isinstance(value, float) and math.isnan(value) for value in filled)


def test_a_new_entity_may_have_positions(database: Database) -> None:
    check = text(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = CAST('sync.sync_cursors' AS regclass) AND contype = 'c' "
        "AND pg_get_constraintdef(oid) LIKE '%entity_type%'"
    )
    with database.engine.connect() as connection, connection.begin() as transaction:
        before = connection.execute(check).scalar_one()
        with Operations.context(MigrationContext.configure(connection)):
            let_positions_be_of(*Entity, "something_new")
            keep_raw_as_others_do("customers")
        after = connection.execute(check).scalar_one()
        transaction.rollback()
    assert "'something_new'" not in before
    assert all(f"'{entity}'" in after for entity in (*Entity, "something_new"))
