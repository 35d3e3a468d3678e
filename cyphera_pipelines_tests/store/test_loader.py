import hashlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import ChildRow, MappedObject
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import INVOICE_LINE_ITEMS, INVOICES, PRODUCTS, SyncedTable
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.loader import LoadResult, TableCounts, load
from cyphera_pipelines.store.tables import synced_tables


def row(table: SyncedTable, **values: Any) -> tuple[Any, ...]:
    defaults = {column.name: 1 for column in table.columns if column.required}
    assert set(values) <= {column.name for column in table.columns}
    return tuple((defaults | values).get(column.name) for column in table.columns)


def product(product_id: str, **values: Any) -> MappedObject:
    raw = orjson.dumps({"id": product_id, **values}, default=str)
    return MappedObject(
        product_id, False, row(PRODUCTS, **values), raw, hashlib.md5(raw, usedforsecurity=False).digest(), 0.0
    )


def invoice(invoice_id: str, lines: dict[str, int]) -> MappedObject:
    raw = orjson.dumps([invoice_id, lines])
    children = [
        ChildRow(
            line_id,
            row(INVOICE_LINE_ITEMS, invoice_id=invoice_id, line_index=at, amount=amount),
            orjson.dumps(line_id),
            f"{line_id}{at}{amount}".encode(),
        )
        for at, (line_id, amount) in enumerate(lines.items())
    ]
    digest = hashlib.md5(raw, usedforsecurity=False).digest()
    return MappedObject(invoice_id, False, row(INVOICES), raw, digest, 0.0, {"invoice_line_items": children})


@pytest.fixture
def source(add_source: Callable[..., Source]) -> Source:
    return add_source("sk_test_loader")


def load_now(database: Database, source: Source, entity: Entity, objects: list[MappedObject], at: float) -> LoadResult:
    with database.tenant(source.workspace_id) as connection:
        for obj in objects:
            obj.version = at
        return load(connection, source, entity, objects)


def names(database: Database, source: Source) -> dict[str, str]:
    table = synced_tables["products"]
    with database.tenant(source.workspace_id) as connection:
        return {each.id: each.name for each in connection.execute(select(table.c.id, table.c.name))}


def test_counts_are_true(database: Database, source: Source) -> None:
    first = load_now(database, source, Entity.PRODUCTS, [product("a", name="1"), product("b", name="1")], 10)
    assert first.tables["products"] == TableCounts(created=2)
    again = [product("a", name="1"), product("b", name="2"), product("c", name="1")]
    second = load_now(database, source, Entity.PRODUCTS, again, 20)
    assert second.tables["products"] == TableCounts(created=1, updated=1, unchanged=1)


def test_an_older_state_does_not_replace_a_newer_one(database: Database, source: Source) -> None:
    load_now(database, source, Entity.PRODUCTS, [product("a", name="newer")], 20)
    result = load_now(database, source, Entity.PRODUCTS, [product("a", name="older")], 19)
    assert result.tables["products"] == TableCounts(unchanged=1)
    assert names(database, source) == {"a": "newer"}
    load_now(database, source, Entity.PRODUCTS, [product("a", name="same moment")], 20)
    assert names(database, source) == {"a": "same moment"}


def test_an_object_that_comes_twice_is_taken_as_it_came_last(database: Database, source: Source) -> None:
    load_now(database, source, Entity.PRODUCTS, [product("a", name="first"), product("a", name="last")], 10)
    assert names(database, source) == {"a": "last"}


def test_children_come_and_go_with_their_parent(database: Database, source: Source) -> None:
    load_now(database, source, Entity.INVOICES, [invoice("i", {"x": 1, "y": 2, "z": 3}), invoice("j", {"w": 1})], 10)
    result = load_now(database, source, Entity.INVOICES, [invoice("i", {"x": 1, "z": 9, "v": 4})], 20)
    assert result.tables["invoice_line_items"] == TableCounts(created=1, updated=1, unchanged=1, deleted=1)
    table = synced_tables["invoice_line_items"]
    with database.tenant(source.workspace_id) as connection:
        rows = connection.execute(select(table.c.id, table.c.amount, table.c.deleted_at)).all()
    assert {each.id: each.amount for each in rows if each.deleted_at is None} == {"x": 1, "z": 9, "v": 4, "w": 1}
    revived = load_now(database, source, Entity.INVOICES, [invoice("i", {"x": 1, "y": 2})], 30)
    assert revived.tables["invoice_line_items"] == TableCounts(updated=1, unchanged=1, deleted=2)


def test_what_postgres_refuses_does_not_stop_the_rest(database: Database, source: Source) -> None:
    objects = [product(f"p{number}", name="fine") for number in range(9)]
    objects[4] = product("p4", name="bad", created=10**17)
    result = load_now(database, source, Entity.PRODUCTS, objects, 10)
    assert result.tables["products"] == TableCounts(created=8)
    assert [(refused.id, "out of range" in refused.reason) for refused in result.refused] == [("p4", True)]
    assert set(names(database, source)) == {f"p{number}" for number in range(9) if number != 4}


texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=texts, images=json_values, metadata=st.dictionaries(texts, texts, max_size=5))
def test_any_text_and_json_comes_back_as_it_went_in(
    database: Database, source: Source, name: str, images: Any, metadata: dict[str, str]
) -> None:
    values = {"name": name, "images": images, "metadata": metadata}
    load_now(database, source, Entity.PRODUCTS, [product("p", **values)], 10)
    table = synced_tables["products"]
    with database.tenant(source.workspace_id) as connection:
        found = connection.execute(select(table.c.name, table.c.images, table.c.metadata, table.c.raw)).one()
    assert found.name == name
    assert found.images == images
    assert found.metadata == metadata
    assert found.raw == {"id": "p", **values}
