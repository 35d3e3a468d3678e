"""The dictionary as a page, as JSON, and as a dbt project reads it."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum

import orjson
import yaml  # type: ignore[import-untyped]
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from cyphera_pipelines.dictionary.contents import ColumnEntry, TableEntry, as_sentence


class DictionaryFormat(StrEnum):
    """What the dictionary can be had as."""

    MARKDOWN = "markdown"
    JSON = "json"
    HTML = "html"
    DBT = "dbt"


_LOADED_AT = ("synced_at", "recorded_at", "built_at", "figures_built_at")
"""Columns that tell when a row was written."""


def render(tables: Sequence[TableEntry], wanted: DictionaryFormat) -> str:
    """The dictionary as text that ends with a line's end."""
    match wanted:
        case DictionaryFormat.JSON:
            return orjson.dumps([asdict(table) for table in tables], option=orjson.OPT_INDENT_2).decode() + "\n"
        case DictionaryFormat.DBT:
            return str(yaml.safe_dump(_dbt_sources(tables), sort_keys=False, allow_unicode=True, width=120))
        case DictionaryFormat.MARKDOWN:
            return render_page("dictionary.md", tables=tables)
        case DictionaryFormat.HTML:
            return render_page("dictionary.html", tables=tables)


def render_page(template: str, **told: object) -> str:
    """A page of what is told. Raises UndefinedError if the template asks for more."""
    return _pages.get_template(template).render(**told)


def _dbt_sources(tables: Sequence[TableEntry]) -> dict[str, object]:
    """`sources.yml`: one source per schema, with the tests that hold of the tables. A function is no source."""
    tables = [table for table in tables if not table.arguments]
    schemas = list(dict.fromkeys(table.schema for table in tables))
    return {
        "version": 2,
        "sources": [
            {
                "name": schema,
                "schema": schema,
                "loader": "cyphera-pipelines",
                "tables": [_dbt_table(table) for table in tables if table.schema == schema],
            }
            for schema in schemas
        ],
    }


def _dbt_table(table: TableEntry) -> dict[str, object]:
    described: dict[str, object] = {
        "name": table.name,
        "description": " ".join(filter(None, (f"{table.comment}.", table.grain, table.rules))),
        "meta": {"key": list(table.key)},
    }
    written = [column.name for column in table.columns if column.name in _LOADED_AT]
    if written:
        described["loaded_at_field"] = written[0]
    return described | {"columns": [_dbt_column(column) for column in table.columns]}


def _dbt_column(column: ColumnEntry) -> dict[str, object]:
    described: dict[str, object] = {
        "name": column.name,
        "data_type": column.type,
        "description": column.comment,
    }
    if column.personal:
        described["meta"] = {"personal": True}
    if column.required:
        described["data_tests"] = ["not_null"]
    return described


def _in_table_cell(text: str) -> str:
    """Markdown ends a cell at a bar."""
    return text.replace("|", "\\|")


_pages = Environment(
    loader=PackageLoader(__name__.rpartition(".")[0]),
    undefined=StrictUndefined,
    autoescape=select_autoescape(["html"]),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_pages.filters["cell"] = _in_table_cell
_pages.filters["sentence"] = as_sentence
