"""Versions of the future, as a provider's wrong clock leaves them, are believed by nobody."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.load_result import LoadResult, TableCounts
from cyphera_pipelines.store.loader import load
from cyphera_pipelines.store.tombstones import TimeSpan, tombstone_missing, tombstone_object
from cyphera_pipelines_tests.store.test_loader import Line, invoice, load_now, product

DAY = 86_400.0
NOW = time.time()
BELIEVED = NOW + 300.0
WRONG_CLOCKS = {
    "two days": NOW + 2 * DAY,
    "2100": 4_102_444_800.0,
    "9999": 253_402_300_799.0,
    "beyond Postgres": 1e300,
    "infinity": float("inf"),
}
clocks_are_wrong = pytest.mark.parametrize("wrong", WRONG_CLOCKS.values(), ids=WRONG_CLOCKS.keys())

Read = Callable[[], dict[str, tuple[object, bool]]]


@pytest.fixture
def source(add_source: Callable[..., Source]) -> Source:
    return add_source("sk_test_versions")


@pytest.fixture
def read(database: Database, source: Source) -> Read:
    """The products' versions, and whether they are alive."""

    def run() -> dict[str, tuple[object, bool]]:
        statement = "SELECT id, extract(epoch FROM source_version), deleted_at IS NULL FROM payments.products"
        with database.tenant(source.workspace_id) as connection:
            return {row[0]: (float(row[1]), row[2]) for row in connection.execute(text(statement))}

    return run


@clocks_are_wrong
def test_any_reading_replaces_a_row_of_the_future(database: Database, source: Source, read: Read, wrong: float) -> None:
    load_now(database, source, Entity.PRODUCTS, [product("a", name="1")], wrong)
    result = load_now(database, source, Entity.PRODUCTS, [product("a", name="2")], NOW - 3_600)
    assert result.tables["products"] == TableCounts(updated=1)
    assert read() == {"a": (pytest.approx(NOW - 3_600, abs=1e-3), True)}


def test_a_clock_that_is_minutes_ahead_is_believed(database: Database, source: Source, read: Read) -> None:
    load_now(database, source, Entity.PRODUCTS, [product("a", name="1")], BELIEVED)
    result = load_now(database, source, Entity.PRODUCTS, [product("a", name="2")], NOW)
    assert result.tables["products"] == TableCounts(unchanged=1)


def test_an_unchanged_row_takes_a_true_version(database: Database, source: Source, read: Read) -> None:
    load_now(database, source, Entity.PRODUCTS, [product("a", name="1"), product("b", name="1")], NOW + DAY)
    result = load_now(database, source, Entity.PRODUCTS, [product("a", name="1")], NOW)
    assert result.tables["products"] == TableCounts(unchanged=1)
    assert read() == {"a": (pytest.approx(NOW, abs=1e-3), True), "b": (pytest.approx(NOW + DAY, abs=1e-3), True)}


@clocks_are_wrong
def test_deletions_pass_over_rows_of_the_future_and_are_passed_over(
    database: Database, source: Source, read: Read, wrong: float
) -> None:
    load_now(database, source, Entity.PRODUCTS, [product("a", created=1), product("b", created=1)], wrong)
    with database.tenant(source.workspace_id) as connection:
        marked = tombstone_object(connection, source, Entity.PRODUCTS, "a", livemode=False, version=NOW)
        assert marked["products"].deleted == 1
        span, about = TimeSpan("created", None, None), {"livemode": False, "unlisted_with": None}
        marked = tombstone_missing(connection, source, Entity.PRODUCTS, span, [], version=NOW, **about)  # type: ignore[arg-type]
        assert marked["products"].deleted == 1
    assert read() == dict.fromkeys("ab", (pytest.approx(NOW, abs=1e-3), False))
    with database.tenant(source.workspace_id) as connection:
        tombstone_object(connection, source, Entity.PRODUCTS, "a", livemode=False, version=wrong)
        tombstone_object(connection, source, Entity.PRODUCTS, "a", livemode=False, version=NOW + 1)
    assert read()["a"] == (pytest.approx(NOW + 1, abs=1e-3), False)
    load_now(database, source, Entity.PRODUCTS, [product("b", name="back")], NOW + 2)
    assert read()["b"] == (pytest.approx(NOW + 2, abs=1e-3), True)


def test_children_of_the_future_are_replaced_and_go(database: Database, source: Source) -> None:
    load_now(database, source, Entity.INVOICES, [invoice("i", [Line("x", 1), Line("y", 1)])], NOW + DAY)
    result = load_now(database, source, Entity.INVOICES, [invoice("i", [Line("x", 2)])], NOW)
    assert result.tables["invoice_line_items"] == TableCounts(updated=1, deleted=1)


@pytest.mark.parametrize("version", [float("nan"), float("-inf"), -1e300, 0.0])
def test_a_version_that_is_no_moment_stops_nothing(
    database: Database, source: Source, read: Read, version: float
) -> None:
    def loaded(objects: list[MappedObject]) -> LoadResult:
        with database.tenant(source.workspace_id) as connection:
            return load(connection, source, Entity.PRODUCTS, objects, confirms=True)

    for name in ("1", "1", "2"):
        obj = product("a", name=name)
        obj.version = version
        assert loaded([obj]).refused == []
    with database.tenant(source.workspace_id) as connection:
        tombstone_object(connection, source, Entity.PRODUCTS, "a", livemode=False, version=version)
    assert read()["a"][1] is False
