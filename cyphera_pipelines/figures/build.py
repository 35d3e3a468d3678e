"""Bringing a source's figures in step with its tables, in one transaction and as few statements as there are stages."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.figures.rules import Rules, digest, read_rules
from cyphera_pipelines.figures.statements import Statements, assignments, statement_of
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables.figures import figure_builds, mrr_movements, subscription_mrr

LONGEST_TRANSACTION = timedelta(minutes=15)
"""Rows carry the moment at which their transaction began: those of one that is still open are seen by a later build."""

_SETTINGS = (
    "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off; SET LOCAL default_statistics_target = 10; "
    "SET LOCAL parallel_tuple_cost = 0.001; SET LOCAL random_page_cost = 1.1"
)
"""Sorts of a whole source's rows, stages that are looked at once or twice, statistics that only have to be near, and
rows that mostly are in memory."""

_NONE_YET = ""
"""The digest of a build that goes on and is the first."""
_KEY = ("workspace_id", "provider", "livemode")
_COLUMNS = tuple(column.name for column in subscription_mrr.c if column.name not in _KEY)
_CONTENTS = tuple(
    name for name in _COLUMNS if name not in ("subscription_id", "item_id", "occurrence", "valid_from", "valid_to")
)
_MOVEMENT_COLUMNS = tuple(column.name for column in mrr_movements.c if column.name not in _KEY)

_ALL = "true"
_SUBSCRIPTIONS = "subscription_id IN (SELECT subscription_id FROM built_scope)"
_CUSTOMERS_OF_STATES = "customer_id IN (SELECT customer_id FROM built_states)"
_CUSTOMERS_CHANGED = (
    "customer_id IN (SELECT customer_id FROM built_differences UNION SELECT customer_before FROM built_differences)"
)


@dataclass(frozen=True)
class BuildResult:
    """What a build did. `customers` are those that were counted anew; rows are of both tables."""

    customers: int
    written: int
    removed: int
    was_full: bool


def build_figures(
    database: Database, source: Source, *, livemode: bool, as_of: datetime | None = None, full: bool = False
) -> BuildResult:
    """Bring the source's figures of that mode in step with its tables.

    Only what was written since the last build is counted anew, unless `full` is asked for or the rules have changed;
    only rows that differ are written. What is known to begin or end after `as_of`, which is now by default, is no part
    of it. A source that was never synced has no figures.
    """
    key = {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": livemode}
    with database.tenant(source.workspace_id) as connection:
        last = _take_turn(connection, key)
        # Only now: whoever was here before may have built until a later moment.
        as_of = as_of or datetime.now(UTC)
        rules = read_rules(connection, source.workspace_id)[1]
        began = connection.execute(text("SELECT now()")).scalar_one()
        is_full = full or last is None or last.rules_digest != digest(rules) or last.built_at > as_of
        connection.execute(text(_SETTINGS))
        build = Statements(connection, {**key, **asdict(rules), "as_of": as_of})
        if last is not None and not is_full:
            build.make("scope", "built_scope", seen_until=last.seen_until, built_at=last.built_at)
        is_any = is_full or build.count("built_scope") > 0
        result = _carry_out(build, is_full=is_full) if is_any else BuildResult(0, 0, 0, was_full=False)
        if last is None and not result.written:
            # Without a single subscription there is nothing to be in step with.
            connection.execute(delete(figure_builds).where(*_is(key)))
            return result
        seen_until = began - LONGEST_TRANSACTION
        is_changed = bool(result.written or result.removed) or last is None or last.rules_digest != digest(rules)
        if is_changed or (last is not None and seen_until - last.seen_until > 2 * LONGEST_TRANSACTION):
            _note(connection, key, as_of, seen_until, rules)
        return result


def _carry_out(build: Statements, *, is_full: bool) -> BuildResult:
    subscriptions = _ALL if is_full else _SUBSCRIPTIONS
    build.make("changes", "built_changes", in_scope=subscriptions)
    build.make("states", "built_states")
    build.make("prices", "built_prices")
    build.make("discounts", "built_discounts", customer_in_scope=_CUSTOMERS_OF_STATES)
    build.make("slices", "built_slices")
    build.make("applied", "built_applied")
    build.make("items", "built_items", gross=statement_of("gross"), factor=statement_of("factor"))
    for place in range(1, build.largest("place", "built_applied") + 1):
        build.execute("take_off", place=place)
    build.make("line_taxes", "built_line_taxes", in_scope=subscriptions)
    build.make("rows", "built_rows")
    with build.without_lookups(is_full):
        build.make("lines", "built_lines", gross=statement_of("gross"), factor=statement_of("factor"))
    build.make(
        "result",
        "built_result",
        columns=", ".join(_COLUMNS),
        columns_but_end=", ".join(name for name in _COLUMNS if name != "valid_to"),
        contents=", ".join(_CONTENTS),
    )
    compared = ("valid_to", *_CONTENTS)
    build.make(
        "differences",
        "built_differences",
        in_scope=subscriptions,
        built_contents=", ".join(f"built.{name}" for name in compared),
        kept_contents=", ".join(f"kept.{name}" for name in compared),
    )
    removed = build.execute("remove").rowcount if build.count("built_differences", "nullif(is_gone, false)") else 0
    written = build.execute(
        "write", columns=", ".join(_COLUMNS), on_conflict=_on_conflict(build, subscription_mrr, compared)
    ).rowcount
    customers = _ALL if is_full else _CUSTOMERS_CHANGED
    build.make("movement_items", "built_movement_items", customer_in_scope=customers)
    with build.without_lookups():
        build.make("movements", "built_movements")
    removed += build.execute("remove_movements", customer_in_scope=customers).rowcount
    written += build.execute(
        "write_movements",
        columns=", ".join(_MOVEMENT_COLUMNS),
        kept_columns=", ".join(f"kept.{name}" for name in _MOVEMENT_COLUMNS),
        built_columns=", ".join(f"built.{name}" for name in _MOVEMENT_COLUMNS),
        on_conflict=_on_conflict(build, mrr_movements, _MOVEMENT_COLUMNS[3:]),
    ).rowcount
    return BuildResult(build.count("built_states", "DISTINCT customer_id"), written, removed, was_full=is_full)


def _on_conflict(build: Statements, table: Table, changed: tuple[str, ...]) -> str:
    """What to do where a row is there already: nothing where none is, since looking for it takes a fifth of writing."""
    if not build.execute("is_any_kept", table=table.name).scalar_one():
        return ""
    key = ", ".join(column.name for column in table.primary_key)
    return f"ON CONFLICT ({key}) DO UPDATE SET {assignments(changed)}"


def _take_turn(connection: Connection, key: dict[str, Any]) -> Row[Any] | None:
    """The last build of these figures, if there was one. No other build of them goes on until the transaction ends.

    Its own row is what is held: others of the workspace's, syncs above all, wait for no build. Where there is none yet
    a row stands for it that nobody else sees, and whoever wants to write another one waits.
    """
    held = select(figure_builds).where(*_is(key)).with_for_update()
    if (last := connection.execute(held).one_or_none()) is None:
        long_ago = datetime.fromtimestamp(0, UTC)
        none_yet = {"built_at": long_ago, "seen_until": long_ago, "rules": {}, "rules_digest": _NONE_YET}
        connection.execute(insert(figure_builds).values(key | none_yet).on_conflict_do_nothing())
        last = connection.execute(held).one()
    return None if last.rules_digest == _NONE_YET else last


def _is(key: dict[str, Any]) -> list[ColumnElement[bool]]:
    return [figure_builds.c[name] == value for name, value in key.items()]


def _note(connection: Connection, key: dict[str, Any], as_of: datetime, seen_until: datetime, rules: Rules) -> None:
    noted = {"built_at": as_of, "seen_until": seen_until, "rules": asdict(rules), "rules_digest": digest(rules)}
    statement = insert(figure_builds).values(key | noted)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=noted))
