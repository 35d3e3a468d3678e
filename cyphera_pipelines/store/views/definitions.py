"""What views and functions there are: read from their files, whose header says grain, key, rules and columns.

Below `-- Columns:` a header has a line for each column, `name type: comment`, in the view's order, and continues one
that is indented; `name type personal: comment` is of one that tells of people, and names alone stand for columns that
mean the same everywhere. Of a function they are the columns of the rows that it returns. A view that shows a table of
`SYNCED_TABLES` says nothing of columns: they are the table's.
`:livemode` is the mode, `:schema` the view's schema, which has to be written where another view is used.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from itertools import takewhile
from pathlib import Path

from cyphera_pipelines.model.columns import Kind
from cyphera_pipelines.model.currencies import EXPONENTS, EXPONENTS_OF_PROVIDERS
from cyphera_pipelines.model.synced_tables import (
    METADATA,
    SHARED_KEY_COLUMNS,
    SYNCED_TABLES,
    SyncedTable,
    all_columns,
    personal_columns,
)

LIVE_SCHEMA = "analytics"
TEST_SCHEMA = "analytics_test"
VIEW_SCHEMAS = {
    LIVE_SCHEMA: "Views for analysts: live data, without what is gone, amounts in whole units of their currency",
    TEST_SCHEMA: "The views of schema analytics, of the provider's test mode",
}
UNIT = f"{LIVE_SCHEMA}.unit(text,text)"
"""The function that tells what one of a row's minor units is in whole units of its currency."""

COLUMNS_EVERYWHERE: dict[str, tuple[str, str]] = {
    "workspace_id": ("uuid", SHARED_KEY_COLUMNS["workspace_id"]),
    "provider": ("text", SHARED_KEY_COLUMNS["provider"]),
    "currency": ("text", "Lower-case ISO code of the currency of every amount in the row"),
    "customer_id": ("text", "Id of the customer"),
    "subscription_id": ("text", "Id of the subscription"),
    "product_id": ("text", "Id of the product; NULL where none is known"),
    "price_id": ("text", "Id of the price; NULL where none is known"),
    "month": ("date", "The month, by its first day, in UTC"),
    "day": ("date", "The day, in UTC"),
}
"""(type, comment) of what a header may name without another word."""

_FOLDER = Path(__file__).parent / "sql"
_MODE = ":livemode"
_SCHEMA = ":schema"
_NOT_SHOWN = {"livemode", "raw", "content_hash", "source_version", "deleted_at"}
"""What a view of one mode without what is gone has no use for, and the provider's own object."""
_WORDS = {
    "in minor units of `currency`": "in whole units of `currency`",
    "in minor units, with up to 12 decimals": "in whole units of `currency`, with all its decimals",
}
"""What comments of amounts say in tables, and in views."""


@dataclass(frozen=True)
class ViewColumn:
    """A column of a view. `type` is Postgres' name of it; `is_personal`: it may tell who a person is, or where."""

    name: str
    type: str
    comment: str
    is_personal: bool = False


@dataclass(frozen=True)
class View:
    """A view. `comment` is its file's header, without the columns; `uses` names the views that it is made of."""

    schema: str
    name: str
    query: str
    comment: str
    columns: tuple[ViewColumn, ...]
    uses: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """As in analytics.invoices."""
        return f"{self.schema}.{self.name}"

    def header(self, what: str) -> str:
        """What it says of a word that it knows: Grain, Key or Rules. Empty where it says nothing of it."""
        return _said_of(what, self.comment)


@dataclass(frozen=True)
class Argument:
    """An argument of a function. `type` is Postgres' name of it."""

    name: str
    type: str


@dataclass(frozen=True)
class Function:
    """A function for analysts, made by a statement of its own, which replaces one that is there.

    It returns rows of `columns`. `comment` is its file's header, without them.
    """

    schema: str
    name: str
    arguments: tuple[Argument, ...]
    statement: str
    comment: str
    columns: tuple[ViewColumn, ...]

    @property
    def signature(self) -> str:
        """As in analytics.invoice_aging_as_of(date)."""
        return f"{self.schema}.{self.name}({','.join(argument.type for argument in self.arguments)})"

    def header(self, what: str) -> str:
        """As of a view."""
        return _said_of(what, self.comment)


@cache
def views() -> tuple[View, ...]:
    """Every view, those of live data first, and none before one that it uses."""
    return tuple(
        view for schema in VIEW_SCHEMAS for view in _in_order([_view(schema, file) for file in _files(schema)])
    )


@cache
def functions() -> tuple[Function, ...]:
    """Every function, but for the one that all amounts go through (`UNIT`)."""
    return tuple(_function(schema, file) for schema in VIEW_SCHEMAS for file in _files(schema, "functions"))


@cache
def digest() -> str:
    """Tells these definitions from those of another release."""
    return hashlib.sha256(repr((views(), functions(), unit_expression())).encode()).hexdigest()[:16]


def unit_expression() -> str:
    """What one minor unit is in whole units, as SQL of `provider` and `currency`; NULL for what is no currency."""
    usual = {code: exponent for code, exponent in EXPONENTS.items() if not _is_counted_otherwise(code)}
    cases = [f"WHEN currency IN ({_codes(usual, exponent)}) THEN {_unit(exponent)}" for exponent in (2, 0, 3, 4)]
    for provider, exponents in EXPONENTS_OF_PROVIDERS.items():
        for code, exponent in exponents.items():
            cases.append(f"WHEN provider = '{provider}' AND currency = '{code}' THEN {_unit(exponent)}")
    cases += [
        f"WHEN currency = '{code}' THEN {_unit(exponent)}"
        for code, exponent in EXPONENTS.items()
        if _is_counted_otherwise(code)
    ]
    return f"CASE {' '.join(cases)} END"


def _files(schema: str, folder: str = "") -> list[Path]:
    files = sorted((_FOLDER / folder).glob("*.sql"))
    return [file for file in files if schema == LIVE_SCHEMA or _is_of_a_mode(file.read_text(encoding="utf-8"))]


def _is_of_a_mode(sql: str) -> bool:
    return _MODE in sql or _SCHEMA in sql


def _in_order(unordered: Iterable[View]) -> Iterable[View]:
    by_name = {view.name: view for view in unordered}
    return (
        by_name[name] for name in TopologicalSorter({name: view.uses for name, view in by_name.items()}).static_order()
    )


def _view(schema: str, file: Path) -> View:
    header, sql = _divided(file)
    about, columns = _about_and_columns(file.stem, header)
    # Sorted: neither the order of views nor their digest may differ from process to process.
    uses = tuple(sorted(set(re.findall(rf"{_SCHEMA}\.(\w+)\b(?!\()", sql))))
    query = _in_schema(sql, schema).replace(":currencies", _currency_rows())
    return View(schema, file.stem, query, _comment(schema, about), columns, uses)


def _function(schema: str, file: Path) -> Function:
    header, sql = _divided(file)
    about, columns = _about_and_columns(file.stem, header)
    found = re.search(rf"FUNCTION {_SCHEMA}\.{file.stem}\(([^)]*)\)", sql)
    if found is None:
        raise ValueError(f"{file.name} makes no function of that name")
    arguments = tuple(Argument(*each.split(maxsplit=1)) for each in found[1].split(","))
    return Function(schema, file.stem, arguments, _in_schema(sql, schema), _comment(schema, about), columns)


def _said_of(what: str, comment: str) -> str:
    found = re.search(rf"(?:^|\s){what}: (.*?)(?=\s(?:Grain|Key|Rules): |$)", comment)
    return found[1] if found else ""


def _divided(file: Path) -> tuple[list[str], str]:
    """The lines of the header, and the SQL below it."""
    lines = file.read_text(encoding="utf-8").splitlines()
    header = list(takewhile(lambda line: line.startswith("--"), lines))
    return [line.removeprefix("--") for line in header], "\n".join(lines[len(header) :]).strip()


def _in_schema(sql: str, schema: str) -> str:
    return sql.replace(_MODE, "true" if schema == LIVE_SCHEMA else "false").replace(_SCHEMA, schema)


def _comment(schema: str, about: Iterable[str]) -> str:
    comment = " ".join(line.strip() for line in about)
    return f"Of the test mode. {comment}" if schema == TEST_SCHEMA else comment


def _about_and_columns(name: str, header: list[str]) -> tuple[list[str], tuple[ViewColumn, ...]]:
    if name in SYNCED_TABLES:
        return header, tuple(_columns_of_table(SYNCED_TABLES[name]))
    if " Columns:" not in header:
        raise ValueError(f"The header of {name}.sql says nothing of its columns")
    at = header.index(" Columns:")
    told: list[str] = []
    for line in header[at + 1 :]:
        if line.startswith("  "):
            told[-1] += f" {line.strip()}"
        else:
            told.append(line.strip())
    return header[:at], tuple(column for line in told for column in _told_columns(line))


def _told_columns(line: str) -> Iterable[ViewColumn]:
    column, _, comment = line.partition(": ")
    if comment:
        name, kind, *marks = column.split(" ")
        return [ViewColumn(name, kind, comment, is_personal="personal" in marks)]
    return [ViewColumn(name, *COLUMNS_EVERYWHERE[name]) for name in line.split(", ")]


def _columns_of_table(table: SyncedTable) -> Iterable[ViewColumn]:
    json = {column.name for column in table.columns if column.kind is Kind.JSON} - {METADATA.name}
    personal = personal_columns(table)
    for name, kind, comment in all_columns(table):
        if name in _NOT_SHOWN | json:
            continue
        shown = comment
        for of_table, of_view in _WORDS.items():
            shown = shown.replace(of_table, of_view)
        yield ViewColumn(name, kind if shown == comment else Kind.NUMERIC.value, shown, name in personal)


def _currency_rows() -> str:
    rows = [f"(CAST(NULL AS text), '{code}', {exponent})" for code, exponent in sorted(EXPONENTS.items())]
    rows += [
        f"('{provider}', '{code}', {exponent})"
        for provider, exponents in EXPONENTS_OF_PROVIDERS.items()
        for code, exponent in exponents.items()
    ]
    return ", ".join(rows)


def _is_counted_otherwise(code: str) -> bool:
    return any(code in exponents for exponents in EXPONENTS_OF_PROVIDERS.values())


def _codes(exponents: dict[str, int], exponent: int) -> str:
    return ", ".join(f"'{code}'" for code, each in sorted(exponents.items()) if each == exponent)


def _unit(exponent: int) -> str:
    # Multiplied by 0.01, 1999 is 19.99; divided by 100 it would be 19.9900000000000000.
    return "1" if exponent == 0 else f"0.{'1'.zfill(exponent)}"
