"""Bringing what is kept of a source's revenue in step with its invoices: what something was written of since."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, select, text
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.figures.build import LONGEST_TRANSACTION
from cyphera_pipelines.figures.statements import Statements, assignments, statement_of
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables.figures import (
    billed_customers,
    billed_prices,
    billed_products,
    monthly_revenue_tables,
    revenue_builds,
    revenue_tables,
)
from cyphera_pipelines.store.views.apply import has_views
from cyphera_pipelines.store.views.definitions import LIVE_SCHEMA, TEST_SCHEMA, unit_expression, views

_SETTINGS = "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off; SET LOCAL random_page_cost = 1.1"
"""Sorts of a whole source's lines, each stage once, and rows that mostly are in memory."""

_STAGES_OF_INVOICES = ("billed_months", "paid_months")
_STAGES = (
    "billed_invoices",
    *_STAGES_OF_INVOICES,
    "revenue_lines",
    "billed_sums",
    "billed_products",
    "billed_prices",
    "revenue_periods",
    billed_customers.name,
)
_LINES_AT_ONCE = 8_000_000
"""So many lines' customers are in memory together, some 16 bytes each, but for a month that has more of them."""

_SLICE = "mod(abs(month - DATE '1970-01-01'), {slices}) = {number}"
_NONE_YET = ""
"""What the first build is counted by, while it goes on."""
_KEY = ("workspace_id", "provider", "livemode")
_ALL, _NONE = "true", "false"
_CUSTOMERS_CHANGED = "customer_id IN (SELECT customer_id FROM built_billed_changed)"


@dataclass(frozen=True)
class RevenueResult:
    """What a build did. Rows are of the tables of `revenue_tables`, `months` those that were counted anew."""

    months: int
    written: int
    removed: int
    was_full: bool


def build_revenue(database: Database, source: Source, *, livemode: bool, full: bool = False) -> RevenueResult:
    """Bring what is kept of the source's revenue in that mode in step with its invoices.

    Only months and customers are counted anew of which something was written since the last build, unless `full` is
    asked for, the way of counting has changed, or an invoice has moved to another of them; only rows that differ are
    written. On a server too old for views nothing is kept.
    """
    key = {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": livemode}
    with database.tenant(source.workspace_id) as connection:
        if not has_views(connection):
            return RevenueResult(0, 0, 0, was_full=False)
        last = _take_turn(connection, key)
        began = connection.execute(text("SELECT now()")).scalar_one()
        connection.execute(text(_SETTINGS))
        build = Statements(connection, key)
        is_full = full or last is None or last.counted_by != counted_by()
        if last is not None and not is_full:
            build.make("revenue_changed", "built_changed", seen_until=last.seen_until)
            build.make("billed_changed", "built_billed_changed", seen_until=last.seen_until)
            result = _count(build, livemode, _months_changed(build), _customers_changed(build))
            is_full = bool(build.execute("moved_invoices").scalar_one())
        if is_full:
            result = _count(build, livemode, _ALL, _ALL)
        seen_until = began - LONGEST_TRANSACTION
        is_changed = bool(result.written or result.removed) or is_full
        if is_changed or (last is not None and seen_until - last.seen_until > 2 * LONGEST_TRANSACTION):
            _note(connection, key, began, seen_until)
        return result


@cache
def counted_by() -> str:
    """Tells this release's way of counting from others: what a line is worth, and what is kept of it."""
    lines = [view.query for view in views() if view.name == "revenue_lines"]
    files = [statement_of(name) for name in _STAGES]
    return hashlib.sha256(repr((lines, files, unit_expression())).encode()).hexdigest()[:16]


def _count(build: Statements, livemode: bool, in_months: str, of_customers: str | None) -> RevenueResult:
    """Count the months anew that one condition tells, where there are any, and the customers that the other does."""
    for name in (*_STAGES, *(table.name for table in revenue_tables)):
        build.drop(f"built_{name}")
    written = removed = months = 0
    if in_months != _NONE:
        _make_months(build, livemode, in_months)
        for table in monthly_revenue_tables:
            gone, new = _keep(build, table, in_months)
            removed, written = removed + gone, written + new
        months = build.count("built_billed_months", "DISTINCT month")
    if of_customers is not None:
        build.make(billed_customers.name, f"built_{billed_customers.name}", of_customers=of_customers)
        gone, new = _keep(build, billed_customers, of_customers)
        removed, written = removed + gone, written + new
    return RevenueResult(months, written, removed, was_full=in_months == _ALL)


def _make_months(build: Statements, livemode: bool, in_months: str) -> None:
    build.make("billed_invoices", "built_billed_invoices", in_months=in_months)
    for name in _STAGES_OF_INVOICES:
        build.make(name, f"built_{name}")
    schema = LIVE_SCHEMA if livemode else TEST_SCHEMA
    lines = build.make("revenue_lines", "built_revenue_lines", in_months=in_months, schema=schema)
    for table in (billed_products, billed_prices):
        build.execute("empty_revenue", **_parts(table))
    slices = -(-lines // _LINES_AT_ONCE)
    for number in range(slices):
        build.drop("built_billed_sums")
        in_slice = _SLICE.format(slices=slices, number=number) if slices > 1 else _ALL
        build.make("billed_sums", "built_billed_sums", in_slice=in_slice)
        for table in (billed_products, billed_prices):
            build.execute(table.name)
    for table in (billed_products, billed_prices):
        build.analyze(f"built_{table.name}")
    build.make("revenue_periods", "built_revenue_periods")


def _months_changed(build: Statements) -> str:
    """The months, by their names: workers may read no temporary table, and take half as long as one process alone."""
    months = ", ".join(f"DATE '{month}'" for month in build.texts("month", "built_changed"))
    return f"month IN ({months})" if months else _NONE


def _customers_changed(build: Statements) -> str | None:
    """Of which customers something was written; all of them if it was of an invoice that has none."""
    if not build.count("built_billed_changed"):
        return None
    are_told = build.count("built_billed_changed", "customer_id") == build.count("built_billed_changed")
    return _CUSTOMERS_CHANGED if are_told else _ALL


def _keep(build: Statements, table: Table, in_scope: str) -> tuple[int, int]:
    """How many rows were removed and written."""
    parts = _parts(table)
    removed = build.execute("remove_revenue", in_scope=in_scope, **parts).rowcount
    return removed, build.execute("write_revenue", **parts).rowcount


def _parts(table: Table) -> dict[str, str]:
    key = tuple(column.name for column in table.primary_key if column.name not in _KEY)
    values = tuple(column.name for column in table.c if column.name not in _KEY and column.name not in key)
    return {
        "table": table.name,
        "columns": ", ".join((*key, *values)),
        "key": ", ".join(key),
        "kept_key": ", ".join(f"kept.{name}" for name in key),
        "built_key": ", ".join(f"built.{name}" for name in key),
        "kept_values": ", ".join(f"kept.{name}" for name in values),
        "built_values": ", ".join(f"built.{name}" for name in values),
        "assignments": assignments(values),
    }


def _take_turn(connection: Connection, key: dict[str, Any]) -> Row[Any] | None:
    """The last build, if there was one. No other one of these goes on until the transaction ends; see `build`."""
    long_ago = datetime.fromtimestamp(0, UTC)
    none_yet = {"built_at": long_ago, "seen_until": long_ago, "counted_by": _NONE_YET}
    connection.execute(insert(revenue_builds).values(key | none_yet).on_conflict_do_nothing())
    last = connection.execute(select(revenue_builds).where(*_is(key)).with_for_update()).one()
    return None if last.counted_by == _NONE_YET else last


def _is(key: dict[str, Any]) -> list[ColumnElement[bool]]:
    return [revenue_builds.c[name] == value for name, value in key.items()]


def _note(connection: Connection, key: dict[str, Any], built_at: datetime, seen_until: datetime) -> None:
    noted = {"built_at": built_at, "seen_until": seen_until, "counted_by": counted_by()}
    statement = insert(revenue_builds).values(key | noted)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=noted))
