import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text
from sqlalchemy.exc import DBAPIError

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import ChildRow, MappedObject
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import INVOICE_LINE_ITEMS, INVOICES, PRODUCTS, SyncedTable
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.encoding import encode_ahead
from cyphera_pipelines.store.load_result import LoadResult, TableCounts
from cyphera_pipelines.store.loader import load
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


class Line(NamedTuple):
    """A line of an invoice; its id need not be its own."""

    id: str
    amount: int


def invoice(invoice_id: str, lines: Sequence[Line]) -> MappedObject:
    raw = orjson.dumps([invoice_id, *map(list, lines)])
    children = [
        ChildRow(
            line_id,
            row(INVOICE_LINE_ITEMS, invoice_id=invoice_id, line_index=at, amount=amount),
            orjson.dumps(line_id),
            f"{line_id}{at}{amount}".encode(),
        )
        for at, (line_id, amount) in enumerate(lines)
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


def forget_rows(database: Database, source: Source, *tables: str) -> None:
    with database.control() as connection:
        for name in tables:
            table = synced_tables[name]
            connection.execute(delete(table).where(table.c.workspace_id == source.workspace_id))


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
    load_now(
        database,
        source,
        Entity.INVOICES,
        [invoice("i", [Line("x", 1), Line("y", 2), Line("z", 3)]), invoice("j", [Line("w", 1)])],
        10,
    )
    result = load_now(database, source, Entity.INVOICES, [invoice("i", [Line("x", 1), Line("z", 9), Line("v", 4)])], 20)
    assert result.tables["invoice_line_items"] == TableCounts(created=1, updated=1, unchanged=1, deleted=1)
    table = synced_tables["invoice_line_items"]
    with database.tenant(source.workspace_id) as connection:
        rows = connection.execute(select(table.c.id, table.c.amount, table.c.deleted_at)).all()
    assert {each.id: each.amount for each in rows if each.deleted_at is None} == {"x": 1, "z": 9, "v": 4, "w": 1}
    revived = load_now(database, source, Entity.INVOICES, [invoice("i", [Line("x", 1), Line("y", 2)])], 30)
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


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
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


few_lines = st.lists(st.builds(Line, st.sampled_from(["x", "y", "z"]), st.integers(0, 2)), max_size=5)
account_states = st.dictionaries(st.sampled_from(["i", "j", "k", "l"]), few_lines, min_size=1)


@st.composite
def listings(draw: st.DrawFn) -> list[list[list[tuple[str, list[Line]]]]]:
    """States of an account, one after another, each in pages: invoices in any order, some of them twice."""
    return [
        [
            [(invoice_id, state[invoice_id]) for invoice_id in page]
            for page in draw(st.lists(st.lists(st.sampled_from(sorted(state)), min_size=1), max_size=2))
        ]
        + [list(draw(st.permutations(sorted(state.items()))))]
        for state in draw(st.lists(account_states, min_size=1, max_size=3))
    ]


@hypothesis_settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(listings())
def test_children_with_the_same_ids_are_all_kept_and_go_with_their_own_parent(
    database: Database, source: Source, listed: list[list[list[tuple[str, list[Line]]]]]
) -> None:
    forget_rows(database, source, "invoices", "invoice_line_items")
    truth: dict[str, list[Line]] = {}
    for at, pages in enumerate(listed, start=1):
        for page in pages:
            truth |= dict(page)
            for _ in range(2):
                result = load_now(database, source, Entity.INVOICES, [invoice(*each) for each in page], at)
                assert not result.refused
        expected = {(name, *line, place) for name, lines in truth.items() for place, line in enumerate(lines)}
        table = synced_tables["invoice_line_items"]
        columns = (table.c.invoice_id, table.c.id, table.c.amount, table.c.line_index)
        with database.tenant(source.workspace_id) as connection:
            rows = connection.execute(select(*columns).where(table.c.deleted_at.is_(None))).all()
        assert len(rows) == len(expected)
        assert {tuple(each) for each in rows} == expected


def test_modes_are_kept_apart(database: Database, source: Source) -> None:
    """In one batch, a rewritten invoice of one mode takes no lines from that of the same id in the other mode."""
    live = invoice("i", [Line("x", 1)])
    live.livemode = True
    load_now(database, source, Entity.INVOICES, [live, invoice("j", [Line("x", 1)])], 10)
    changed, other = invoice("j", [Line("x", 2)]), invoice("i", [Line("x", 3)])
    again = invoice("k", [Line("x", 1)])
    again.livemode = True
    result = load_now(database, source, Entity.INVOICES, [changed, other, again], 20)
    assert result.tables["invoice_line_items"] == TableCounts(created=2, updated=1)
    table = synced_tables["invoice_line_items"]
    with database.tenant(source.workspace_id) as connection:
        assert connection.execute(select(table.c.id).where(table.c.deleted_at.is_not(None))).all() == []


def test_a_batch_may_follow_another_in_one_transaction(database: Database, source: Source) -> None:
    """The first row of all is refused: then there is no staging table yet whose making has been kept."""
    database.engine.dispose()
    bad = product("p0", name="bad", created=10**17)
    with database.tenant(source.workspace_id) as connection:
        first = load(connection, source, Entity.PRODUCTS, [bad, product("p1", name="1")])
        second = load(connection, source, Entity.PRODUCTS, [product("p1", name="2"), product("p2", name="2")])
    assert [refused.id for refused in first.refused] == ["p0"]
    assert second.tables["products"] == TableCounts(created=1, updated=1)
    assert names(database, source) == {"p1": "2", "p2": "2"}


def nested(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


def odd(product_id: str, **values: Any) -> MappedObject:
    return replace(product("p"), id=product_id, values=row(PRODUCTS, **values))


# Hardly to be compressed: Postgres tries that before it refuses a long value.
LONG_ID = "".join(f"{at * at * 7919 % 9973:04d}" for at in range(750))
REFUSED = {
    "id too long for the index": odd(LONG_ID),
    "NUL in the id": odd("a\x00b"),
    "lone surrogate in the id": odd("a\ud800b"),
    "NUL in a text": odd("p", name="a\x00b"),
    "lone surrogate in a text": odd("p", name="a\ud800b"),
    "number out of range": odd("p", created=10**17),
    "deeper than our encoder goes": odd("p", images=nested(300)),
    "no text": odd("p", name=object()),
}


@pytest.mark.parametrize("bad", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("place", [0, 4, 8])
@pytest.mark.parametrize("is_encoded_ahead", [False, True])
def test_one_object_that_cannot_be_written_does_not_stop_the_rest(
    database: Database, source: Source, bad: MappedObject, place: int, is_encoded_ahead: bool
) -> None:
    objects = [product(f"p{number}", name="fine") for number in range(9)]
    objects[place] = replace(bad)
    if is_encoded_ahead:
        encode_ahead(Entity.PRODUCTS, objects, store_raw=True)
        assert objects[place - 1].encoded is not None
    for _ in range(2):
        result = load_now(database, source, Entity.PRODUCTS, objects, 10)
        assert [refused.id for refused in result.refused] == [bad.id]
        assert result.refused[0].reason.startswith("it cannot be written to Postgres: ")
    assert set(names(database, source)) == {f"p{number}" for number in range(9) if number != place}


def test_children_that_cannot_be_written_take_their_parent_along_and_nobody_else(
    database: Database, source: Source
) -> None:
    bad = invoice("bad", [Line("x", 1), Line(LONG_ID, 1), Line("y", 1)])
    result = load_now(database, source, Entity.INVOICES, [invoice("i", [Line("x", 1)]), bad], 10)
    assert [refused.id for refused in result.refused] == ["bad"]
    assert result.tables["invoice_line_items"] == TableCounts(created=1)


def test_what_is_not_about_an_object_is_raised(database: Database, source: Source) -> None:
    with database.tenant(source.workspace_id) as connection:
        connection.execute(text("SET LOCAL transaction_read_only = on"))
        with pytest.raises(DBAPIError, match="read-only transaction"):
            load(connection, source, Entity.PRODUCTS, [product("a"), product("b")])
