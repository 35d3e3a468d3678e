"""The dictionary as a page, as JSON, and as a dbt project reads it."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum

import orjson
import yaml  # type: ignore[import-untyped]
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from cyphera_pipelines.dictionary.contents import ColumnEntry, TableEntry


class DictionaryFormat(StrEnum):
    """What the dictionary can be had as."""

    MARKDOWN = "markdown"
    JSON = "json"
    HTML = "html"
    DBT = "dbt"


def render(tables: Sequence[TableEntry], wanted: DictionaryFormat) -> str:
    """The dictionary as text that ends with a line's end."""
    match wanted:
        case DictionaryFormat.JSON:
            return orjson.dumps([asdict(table) for table in tables], option=orjson.OPT_INDENT_2).decode() + "\n"
        case DictionaryFormat.DBT:
            return str(yaml.safe_dump(_dbt_sources(tables), sort_keys=False, allow_unicode=True, width=120))
        case DictionaryFormat.MARKDOWN:
            return _pages.get_template("dictionary.md").render(tables=tables)
        case DictionaryFormat.HTML:
            return _pages.get_template("dictionary.html").render(tables=tables)


def _dbt_sources(tables: Sequence[TableEntry]) -> dict[str, object]:
    """`sources.yml`: one source per schema, with the tests that hold of the tables."""
    schemas = list(dict.fromkeys(table.schema for table in tables))
    return {
        "version": 2,
        "sources": [
            {
                "name": schema,
                "schema": schema,
                "loader": "cyphera-pipelines",
                "loaded_at_field": "synced_at",
                "tables": [
                    {
                        "name": table.name,
                        "description": f"{table.comment}. {table.grain}",
                        "meta": {"key": list(table.key)},
                        "columns": [_dbt_column(column) for column in table.columns],
                    }
                    for table in tables
                    if table.schema == schema
                ],
            }
            for schema in schemas
        ],
    }


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
