"""Rows that need not be told with their parents: merged where they are told, and left alone where they are not."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import ChildRow, MappedObject
from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import CUSTOMER_TAX_IDS, CUSTOMERS
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.encoding import encode_ahead
from cyphera_pipelines.store.load_result import DifferingRow, LoadResult, OneSidedChildren, TableCounts
from cyphera_pipelines.store.loader import load
from cyphera_pipelines.store.tables import synced_tables
from cyphera_pipelines.store.tombstones import tombstone_object
from cyphera_pipelines_tests.store.test_loader import row

NAME = CUSTOMER_TAX_IDS.name
Numbers = dict[str, str]


def customer(numbers: Numbers | None, *, at: float, customer_id: str = "c", name: str = "Ada") -> MappedObject:
    """A customer with these tax ids; None if the state does not tell of them."""
    children = {}
    if numbers is not None:
        children[NAME] = [
            ChildRow(tax_id, row(CUSTOMER_TAX_IDS, customer_id=customer_id, value=value), b"{}", value.encode())
            for tax_id, value in numbers.items()
        ]
    return MappedObject(customer_id, False, row(CUSTOMERS, name=name), b"{}", name.encode(), at, children)


@pytest.fixture
def source(add_source: Callable[..., Source]) -> Source:
    return add_source("sk_test_loose")


@pytest.fixture
def load_now(database: Database, source: Source) -> Callable[..., LoadResult]:
    def run(*objects: MappedObject, **how: Any) -> LoadResult:
        with database.tenant(source.workspace_id) as connection:
            return load(connection, source, Entity.CUSTOMERS, list(objects), **how)

    return run


@pytest.fixture
def numbers(database: Database, source: Source) -> Callable[[], Numbers]:
    table = synced_tables[NAME]

    def read() -> Numbers:
        with database.tenant(source.workspace_id) as connection:
            live = select(table.c.id, table.c.value).where(table.c.deleted_at.is_(None))
            return {each.id: each.value for each in connection.execute(live)}

    return read


Load = Callable[..., LoadResult]
Read = Callable[[], Numbers]


def test_what_is_not_told_is_left_alone(load_now: Load, numbers: Read) -> None:
    assert load_now(customer({"a": "1", "b": "2"}, at=10)).tables[NAME] == TableCounts(created=2)
    changed = load_now(customer(None, at=20, name="Grace"))
    assert changed.tables["customers"] == TableCounts(updated=1)
    assert NAME not in changed.tables
    assert numbers() == {"a": "1", "b": "2"}


def test_what_is_told_comes_though_the_parent_is_unchanged(load_now: Load, numbers: Read) -> None:
    load_now(customer({"a": "1", "b": "2", "c": "3"}, at=10))
    told = load_now(customer({"a": "1", "b": "9", "d": "4"}, at=20))
    assert told.tables["customers"] == TableCounts(unchanged=1)
    assert told.tables[NAME] == TableCounts(created=1, updated=1, unchanged=1, deleted=1)
    assert numbers() == {"a": "1", "b": "9", "d": "4"}
    assert load_now(customer({}, at=30)).tables[NAME] == TableCounts(deleted=3)
    assert numbers() == {}
    assert load_now(customer({"a": "1"}, at=40)).tables[NAME] == TableCounts(updated=1)


def test_what_is_unchanged_is_not_written(load_now: Load, database: Database, source: Source) -> None:
    table = synced_tables[NAME]

    def written() -> list[Any]:
        with database.tenant(source.workspace_id) as connection:
            return [each[0] for each in connection.execute(select(text("xmin::text")).select_from(table))]

    load_now(customer({"a": "1", "b": "2"}, at=10))
    before = written()
    assert load_now(customer({"a": "1", "b": "2"}, at=20)).tables[NAME] == TableCounts(unchanged=2)
    assert written() == before


def test_an_older_state_changes_and_removes_nothing_newer(load_now: Load, numbers: Read) -> None:
    load_now(customer({"a": "1", "gone": "2"}, at=10))
    load_now(customer({"a": "2", "new": "3"}, at=30))
    late = load_now(customer({"a": "1", "gone": "2"}, at=20))
    assert late.tables[NAME] == TableCounts(unchanged=2)
    assert numbers() == {"a": "2", "new": "3"}


def test_nobody_gets_children_who_is_gone_or_was_never_there(
    load_now: Load, numbers: Read, database: Database, source: Source
) -> None:
    load_now(customer({"a": "1"}, at=10))
    with database.tenant(source.workspace_id) as connection:
        gone = tombstone_object(connection, source, Entity.CUSTOMERS, "c", livemode=False, version=20)
    assert gone[NAME] == TableCounts(deleted=1)
    load_now(customer({"a": "1", "b": "2"}, at=15))
    assert numbers() == {}
    bad = customer({"a": "1"}, at=30, customer_id="bad")
    bad.values = row(CUSTOMERS, created=10**17)
    refused = load_now(bad)
    assert len(refused.refused) == 1
    assert numbers() == {}
    load_now(customer({"b": "2"}, at=30))
    assert numbers() == {"b": "2"}


def test_what_came_while_a_first_listing_went_on_is_looked_up(
    load_now: Load, numbers: Read, database: Database, source: Source
) -> None:
    load_now(customer({"a": "1"}, at=10))
    load_now(customer({"n": "new"}, at=40, customer_id="newer"))
    with database.tenant(source.workspace_id) as connection:
        tombstone_object(connection, source, Entity.CUSTOMERS, "c", livemode=False, version=30)
    listed = [customer({"a": "2"}, at=20), customer({"n": "old"}, at=20, customer_id="newer")]
    load_now(*listed, customer({"x": "5"}, at=20, customer_id="other"), finds_nothing=True)
    assert numbers() == {"n": "new", "x": "5"}


def test_a_repair_rewrites_whatever_the_rows_say_of_themselves(load_now: Load, numbers: Read) -> None:
    load_now(customer({"a": "1", "surplus": "2"}, at=10**9))
    load_now(customer({"a": "3", "b": "4"}, at=50), rewrites=True)
    assert numbers() == {"a": "3", "b": "4"}


@pytest.mark.parametrize("strategy", [ConflictStrategy.SKIP, ConflictStrategy.FLAG])
def test_rows_that_are_to_be_left_are_left_with_their_children(
    strategy: ConflictStrategy, load_now: Load, numbers: Read
) -> None:
    load_now(customer({"a": "1"}, at=10))
    load_now(customer({"b": "2"}, at=20), customer({"x": "5"}, at=20, customer_id="other"), strategy=strategy)
    assert numbers() == {"a": "1", "x": "5"}


def test_where_rows_are_flagged_what_is_told_is_compared(load_now: Load, numbers: Read) -> None:
    load_now(customer({"a": "1", "b": "2", "c": "3"}, at=10))
    states = [customer({"a": "1", "b": "9", "d": "4", "e": "5"}, at=20), customer(None, at=30)]
    for told in (states, states[::-1]):
        assert load_now(*told, strategy=ConflictStrategy.FLAG).differing == [
            DifferingRow("c", (f"{NAME}.value",), (OneSidedChildren(NAME, 2, 1),))
        ]
    renamed = load_now(customer({}, at=20, name="Grace"), strategy=ConflictStrategy.FLAG)
    assert renamed.differing == [DifferingRow("c", ("name",), (OneSidedChildren(NAME, 0, 3),))]
    for unchanged in (customer({"a": "1", "b": "2", "c": "3"}, at=20), customer(None, at=20)):
        assert load_now(unchanged, strategy=ConflictStrategy.FLAG).differing == []
    assert numbers() == {"a": "1", "b": "2", "c": "3"}


def test_rows_that_are_newer_than_what_is_told_are_no_difference(load_now: Load) -> None:
    load_now(customer({"a": "1", "gone": "2"}, at=10))
    load_now(customer({"a": "2", "new": "3"}, at=30))
    late = customer({"a": "1", "gone": "2"}, at=20)
    assert load_now(late, strategy=ConflictStrategy.FLAG).differing == []
    later = customer({"a": "1", "gone": "2", "other": "4"}, at=20)
    assert load_now(later, strategy=ConflictStrategy.FLAG).differing == [
        DifferingRow("c", (), (OneSidedChildren(NAME, 1, 0),))
    ]
    back = customer({"a": "2", "gone": "2", "new": "3"}, at=40)
    assert load_now(back, strategy=ConflictStrategy.FLAG).differing == [
        DifferingRow("c", (), (OneSidedChildren(NAME, 1, 0),))
    ]


def test_one_that_cannot_be_compared_stops_no_other(load_now: Load, numbers: Read) -> None:
    load_now(*(customer({"a": "1"}, at=10, customer_id=f"c{number}") for number in range(5)))
    told = [customer({"a": "2"}, at=20, customer_id=f"c{number}") for number in range(5)]
    told[2].children[NAME][0].values = row(CUSTOMER_TAX_IDS, customer_id="c2", created=10**17)
    result = load_now(*told, strategy=ConflictStrategy.FLAG)
    assert [each.id for each in result.differing] == ["c0", "c1", "c3", "c4"]
    assert [refused.id for refused in result.refused] == ["c2"]
    assert set(numbers().values()) == {"1"}


def test_of_two_states_the_newest_that_tells_counts(load_now: Load, numbers: Read) -> None:
    load_now(customer({"a": "1"}, at=10), customer({"a": "2"}, at=20), customer(None, at=30, name="Grace"))
    assert numbers() == {"a": "2"}


def test_many_go_by_copy_and_one_that_cannot_be_written_stops_no_other(load_now: Load, numbers: Read) -> None:
    many = [
        customer({f"{number}-{at}": "1" for at in range(3)}, at=10, customer_id=f"c{number}") for number in range(100)
    ]
    bad = many[50].children[NAME][0]
    bad.values = row(CUSTOMER_TAX_IDS, customer_id="c50", created=10**17)
    encode_ahead(Entity.CUSTOMERS, many[:30], store_raw=True)
    result = load_now(*many, finds_nothing=True)
    assert result.tables["customers"] == TableCounts(created=100)
    assert result.tables[NAME] == TableCounts(created=297)
    assert [refused.id for refused in result.refused] == ["c50"]
    assert "its customer_tax_ids cannot be written to Postgres" in result.refused[0].reason
    assert len(numbers()) == 297


sets_of_numbers = st.none() | st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)
LATER = itertools.count(1)
states = st.lists(st.tuples(sets_of_numbers, st.sampled_from(("Ada", "Grace"))), min_size=1, max_size=6)


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(states=states, are_encoded=st.booleans())
def test_what_was_told_last_is_there(
    states: list[tuple[Numbers | None, str]], are_encoded: bool, load_now: Load, numbers: Read
) -> None:
    load_now(customer({}, at=next(LATER)))
    expected: Numbers = {}
    for told, name in states:
        obj = customer(told, at=next(LATER), name=name)
        if are_encoded:
            encode_ahead(Entity.CUSTOMERS, [obj], store_raw=True)
        load_now(obj)
        expected = expected if told is None else told
        assert numbers() == expected
