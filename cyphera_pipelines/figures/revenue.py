"""Bringing what is kept of a source's revenue in step with its invoices: the months of which something was written."""

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
from cyphera_pipelines.store.tables.figures import revenue_builds, revenue_tables
from cyphera_pipelines.store.views.apply import has_views
from cyphera_pipelines.store.views.definitions import LIVE_SCHEMA, TEST_SCHEMA, unit_expression, views

_SETTINGS = "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off; SET LOCAL random_page_cost = 1.1"
"""Sorts of a whole source's lines, each stage once, and rows that mostly are in memory."""

_OF_LINES = tuple(table.name for table in revenue_tables if table.name != "billed_months")
_NONE_YET = ""
"""What the first build is counted by, while it goes on."""
_KEY = ("workspace_id", "provider", "livemode")
_ALL = "true"
_CHANGED = "month IN (SELECT month FROM built_changed)"


@dataclass(frozen=True)
class RevenueResult:
    """What a build did. Rows are of the tables of `revenue_tables`, `months` those that were counted anew."""

    months: int
    written: int
    removed: int
    was_full: bool


def build_revenue(database: Database, source: Source, *, livemode: bool, full: bool = False) -> RevenueResult:
    """Bring what is kept of the source's revenue in that mode in step with its invoices.

    Only months are counted anew of which something was written since the last build, unless `full` is asked for, the
    way of counting has changed, or an invoice has moved to another month; only rows that differ are written. On a
    server too old for views nothing is kept.
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
            result = _count(build, livemode, _CHANGED) if build.count("built_changed") else _NOTHING
            is_full = bool(build.execute("moved_invoices").scalar_one())
        if is_full:
            result = _count(build, livemode, _ALL)
        seen_until = began - LONGEST_TRANSACTION
        is_changed = bool(result.written or result.removed) or is_full
        if is_changed or (last is not None and seen_until - last.seen_until > 2 * LONGEST_TRANSACTION):
            _note(connection, key, began, seen_until)
        return result


@cache
def counted_by() -> str:
    """Tells this release's way of counting from others: what a line is worth, and what is kept of it."""
    lines = [view.query for view in views() if view.name == "revenue_lines"]
    files = [statement_of(name) for name in ("revenue_lines", *(table.name for table in revenue_tables))]
    return hashlib.sha256(repr((lines, files, unit_expression())).encode()).hexdigest()[:16]


def _count(build: Statements, livemode: bool, in_months: str) -> RevenueResult:
    for name in ("built_revenue_lines", *(f"built_{table.name}" for table in revenue_tables)):
        build.drop(name)
    build.make("billed_months", "built_billed_months", in_months=in_months)
    schema = LIVE_SCHEMA if livemode else TEST_SCHEMA
    build.make("revenue_lines", "built_revenue_lines", in_months=in_months, schema=schema)
    for name in _OF_LINES:
        build.make(name, f"built_{name}")
    written = removed = 0
    for table in revenue_tables:
        parts = _parts(table)
        removed += build.execute("remove_revenue", in_months=in_months, **parts).rowcount
        written += build.execute("write_revenue", **parts).rowcount
    months = build.count("built_billed_months", "DISTINCT month")
    return RevenueResult(months, written, removed, was_full=in_months == _ALL)


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


_NOTHING = RevenueResult(0, 0, 0, was_full=False)
