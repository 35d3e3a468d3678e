"""The dictionary says what Postgres and Dagster say, in every format."""

from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest
import yaml  # type: ignore[import-untyped]
from sqlalchemy import text
from typer.testing import CliRunner

from cyphera_pipelines.cli.app import app
from cyphera_pipelines.dictionary.contents import TableEntry, dictionary
from cyphera_pipelines.dictionary.rendering import DictionaryFormat, render
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.orchestration.asset_specs import ASSET_SPECS
from cyphera_pipelines.store.database import Database

_PAGE = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def _told(table: TableEntry) -> dict[str, tuple[str, str]]:
    return {column.name: (column.type, column.comment) for column in table.columns}


def test_it_says_what_postgres_says(database: Database) -> None:
    types = {"timestamp with time zone": "timestamptz"}
    statement = text(
        "SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum), attnotnull "
        "FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped "
        "ORDER BY attnum"
    )
    about_table = text("SELECT obj_description(CAST(:table AS regclass))")
    with database.control() as connection:
        for table in (table for table in dictionary() if not table.arguments):
            name = {"table": f"{table.schema}.{table.name}"}
            columns = connection.execute(statement, name).all()
            if not (table.is_view and table.name in SYNCED_TABLES):
                assert [column.name for column in table.columns] == [row[0] for row in columns]
            assert _told(table) == {row[0]: (types.get(row[1], row[1]), row[2]) for row in columns}
            if not table.is_view:
                required = {column.name for column in table.columns if column.required}
                assert required == {row[0] for row in columns if row[3]}
            comment = connection.execute(about_table, name).scalar_one()
            if table.is_view:
                # Postgres shows a view's header whole.
                assert comment.startswith(f"{table.comment}. Grain: ")
                assert _of_header(table) == comment.lower()
            else:
                assert comment in (table.comment, _of_kept(table))


def test_it_says_of_functions_what_postgres_says(database: Database) -> None:
    statement = text(
        "SELECT pg_get_function_arguments(oid), pg_get_function_result(oid), obj_description(oid, 'pg_proc') "
        "FROM pg_proc WHERE oid = to_regproc(:name)"
    )
    found = [table for table in dictionary() if table.arguments]
    assert [table.full_name for table in found] == ["analytics.invoice_aging_as_of(as_of date)"]
    with database.control() as connection:
        for table in found:
            arguments, result, comment = connection.execute(statement, {"name": f"{table.schema}.{table.name}"}).one()
            assert table.full_name == f"{table.schema}.{table.name}({arguments})"
            told = ", ".join(f"{column.name} {column.type}" for column in table.columns)
            assert result.replace("timestamp with time zone", "timestamptz") == f"TABLE({told})"
            assert _of_header(table) == comment.lower()


def _of_header(table: TableEntry) -> str:
    key = ", ".join(table.key)
    return f"{table.comment}. Grain: {table.grain} Key: {key}. Rules: {table.rules}".lower()


def _of_kept(table: TableEntry) -> str:
    grain = table.grain.rstrip(".")
    return f"{table.comment}: {grain[:1].lower()}{grain[1:]}"


def test_it_says_what_dagster_says() -> None:
    schemas = {
        spec.metadata["dagster/table_name"]: spec.metadata["dagster/column_schema"].schema for spec in ASSET_SPECS
    }
    for table in dictionary([f"payments.{name}" for name in SYNCED_TABLES]):
        shown = schemas[f"{table.schema}.{table.name}"]
        assert _told(table) == {column.name: (column.type, column.description) for column in shown.columns}


def test_references_are_to_tables_that_are_there() -> None:
    names = set(SYNCED_TABLES)
    referred = [column.refers_to.table for table in dictionary() for column in table.columns if column.refers_to]
    assert len(referred) > len(names) / 2
    assert set(referred) <= names


def test_one_table_and_one_that_is_none() -> None:
    assert [table.name for table in dictionary(["invoices"])] == ["invoices"]
    assert [table.name for table in dictionary(["payments.prices"])] == ["prices"]
    with pytest.raises(
        InvalidInputError, match=r"There is no table 'invoice'\. The tables are: customers, .* analytics\.mrr_summary"
    ):
        dictionary(["invoices", "invoice"])


def test_views_are_in_it_and_a_name_of_both_is_the_table_s() -> None:
    (invoices,) = dictionary(["invoices"])
    assert invoices.schema == "payments"
    (view,) = dictionary(["analytics.invoices"])
    assert view.is_view
    (summary,) = dictionary(["mrr_summary"])
    assert summary.key == ("workspace_id", "provider", "currency", "month")
    assert summary.grain.startswith("One row per provider, currency and month")
    assert "calendar month" in summary.rules
    personal = {column.name for column in dictionary(["customer_summary"])[0].columns if column.personal}
    assert personal == {"name", "email"}
    assert {"figures.mrr_movements", "payments.subscription_history"} <= {
        f"{table.schema}.{table.name}" for table in dictionary()
    }


def test_the_page_of_the_documentation_is_this_one() -> None:
    assert _PAGE.read_text(encoding="utf-8") == render(dictionary(), DictionaryFormat.MARKDOWN), (
        "Write it anew: cyphera dictionary --out docs/data-dictionary.md"
    )


def test_a_page_for_a_browser_is_well_formed_and_links_to_what_it_has() -> None:
    page = _Page()
    page.feed(render(dictionary(), DictionaryFormat.HTML))
    assert not page.open
    assert page.links
    assert page.links <= page.ids


def test_json_and_dbt() -> None:
    tables = orjson.loads(render(dictionary(), DictionaryFormat.JSON))
    invoices = next(table for table in tables if table["name"] == "invoices")
    customer = next(column for column in invoices["columns"] if column["name"] == "customer_id")
    assert customer["refers_to"] == {"table": "customers", "column": "id"}
    sources = yaml.safe_load(render(dictionary(), DictionaryFormat.DBT))["sources"]
    assert [source["name"] for source in sources] == ["payments", "figures", "analytics"]
    assert [table["name"] for source in sources for table in source["tables"]] == [
        table.name for table in dictionary() if not table.arguments
    ]
    source = sources[0]
    assert source["tables"][0]["loaded_at_field"] == "synced_at"
    email = next(column for column in source["tables"][0]["columns"] if column["name"] == "email")
    assert email["meta"] == {"personal": True}
    assert "data_tests" not in email


def test_the_command_writes_to_the_terminal_and_to_a_file(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["dictionary", "--format", "json", "--table", "customers"])
    assert printed.exit_code == 0
    assert [table["name"] for table in orjson.loads(printed.stdout)] == ["customers"]
    file = tmp_path / "sources.yml"
    assert CliRunner().invoke(app, ["dictionary", "--format", "dbt", "--out", str(file)]).exit_code == 0
    assert file.read_text(encoding="utf-8") == render(dictionary(), DictionaryFormat.DBT)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: set[str] = set()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name == "href":
                self.links.add(str(value).removeprefix("#"))
            if name == "id":
                self.ids.add(str(value))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
