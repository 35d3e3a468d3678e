"""Tables as pandas frames and as files: every row of one workspace, each value as it is."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyarrow import parquet
from sqlalchemy import text

from cyphera_pipelines.analytics import Workspace
from cyphera_pipelines.analytics import arrow as arrow_module
from cyphera_pipelines.analytics.files import write_parquet
from cyphera_pipelines.model.errors import InvalidInputError, NotFoundError
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, key_columns
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.export import ExportFormat
from cyphera_pipelines.store.table_rows import RowSelection, copy_rows, selected_columns
from cyphera_pipelines_tests.analytics.conftest import ODD_NAME, Synced


def rows_of(database: Database, synced: Synced, table: str, *, deleted: bool = False) -> list[dict[str, Any]]:
    """What Postgres itself says, by the order of the key."""
    columns = ", ".join(name for name, _type in selected_columns(database, table, RowSelection()))
    gone = "" if deleted else "AND deleted_at IS NULL"
    statement = text(f"SELECT {columns} FROM payments.{table} WHERE workspace_id = :id {gone} ORDER BY 1, 2, 3, 4")
    with database.control() as connection:
        return [dict(row._mapping) for row in connection.execute(statement, {"id": synced.own.workspace_id})]


@pytest.fixture
def acme(synced: Synced) -> Any:
    with Workspace(synced.own.workspace_slug) as opened:
        yield opened


@pytest.mark.parametrize("table", SYNCED_TABLES)
def test_every_value_of_every_table(database: Database, synced: Synced, acme: Workspace, table: str) -> None:
    frame = acme.table(table)
    expected = rows_of(database, synced, table)
    assert expected
    assert len(frame) == len(expected)
    key = key_columns(SYNCED_TABLES[table])
    by_key = {tuple(str(row[name]) for name in key): row for row in expected}
    for row in frame.to_dict("records"):
        told = by_key.pop(tuple(str(row[name]) for name in key))
        for name, value in told.items():
            assert _plain(row[name]) == _comparable(value), (table, name)
    assert not by_key


def test_odd_texts_and_what_is_gone(synced: Synced, acme: Workspace) -> None:
    first = acme.table("customers")["name"].iloc[:3]
    assert first.iloc[0] == ODD_NAME
    assert first.iloc[1] == ""
    assert pd.isna(first.iloc[2])
    assert len(acme.table("customers", deleted=True)) == len(acme.table("customers")) + 1 == synced.account.customers


def test_dtypes(acme: Workspace) -> None:
    dtypes = acme.table("invoices").dtypes
    assert dtypes["amount_due"] == pd.Int64Dtype()
    assert dtypes["created"] == pd.DatetimeTZDtype("us", "UTC")
    assert dtypes["livemode"] == pd.BooleanDtype()
    assert isinstance(dtypes["currency"], pd.CategoricalDtype)
    assert dtypes["id"] == "str"
    prices = acme.table("prices")
    assert all(isinstance(value, Decimal) for value in prices["unit_amount_decimal"].dropna())


def test_selections_are_made_in_postgres(acme: Workspace) -> None:
    everything = acme.table("invoices")
    paid = acme.table("invoices", where={"status": "paid"}, columns=["id", "status"])
    assert list(paid.columns) == ["id", "status"]
    assert sorted(paid["id"]) == sorted(everything[everything["status"] == "paid"]["id"])
    two = acme.table("invoices", where={"status": ["paid", "open"]})
    assert len(two) == everything["status"].isin(["paid", "open"]).sum()
    middle = everything["created"].sort_values().iloc[len(everything) // 2].to_pydatetime()
    assert len(acme.table("invoices", until=middle)) == (everything["created"] < middle).sum()
    assert len(acme.table("invoices", since=middle)) == (everything["created"] >= middle).sum()
    assert acme.table("invoices", livemode=True).empty
    none = acme.table("invoices", where={"customer_id": None})
    assert len(none) == everything["customer_id"].isna().sum()
    quoted = acme.table("customers", where={"name": [ODD_NAME, "'; DROP TABLE x; --"]})
    assert list(quoted["name"]) == [ODD_NAME]


def test_an_empty_answer_has_its_columns_and_dtypes(acme: Workspace) -> None:
    empty = acme.table("invoices", since=datetime(2090, 1, 1, tzinfo=UTC))
    assert empty.empty
    whole = acme.table("invoices")
    assert list(empty.columns) == list(whole.columns)
    assert empty.dtypes["amount_due"] == whole.dtypes["amount_due"]


def test_pieces_are_the_whole(acme: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_module, "BLOCK_BYTES", 50_000)
    pieces = list(acme.chunks("invoice_line_items"))
    assert len(pieces) > 2
    whole = acme.table("invoice_line_items")
    assert sum(map(len, pieces)) == len(whole)
    assert isinstance(whole.dtypes["currency"], pd.CategoricalDtype)


def test_whoever_stops_early_holds_nothing(acme: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_module, "BLOCK_BYTES", 20_000)
    # Two connections: a third look would wait for one that was not given back.
    for _ in range(3):
        looked = acme.chunks("invoice_line_items", columns=["id", "raw"])
        assert len(next(looked))
        looked.close()
    assert len(acme.table("prices"))


def test_nobody_elses_rows(synced: Synced, acme: Workspace) -> None:
    whose = acme.table("customers", columns=["workspace_id"])["workspace_id"]
    assert set(whose) == {str(synced.own.workspace_id)}
    assert acme.table("customers", where={"workspace_id": str(synced.other.workspace_id)}).empty


def test_views_hold_one_mode_and_amounts_in_whole_units(database: Database, synced: Synced, acme: Workspace) -> None:
    frame = acme.view("invoices", test_mode=True)
    assert acme.view("invoices").empty, "the account is in test mode"
    expected = {row["id"]: row for row in rows_of(database, synced, "invoices")}
    assert set(frame["id"]) == set(expected)
    assert {"usd", "jpy"} <= set(frame["currency"])
    for row in frame.to_dict("records"):
        told = expected[row["id"]]
        unit = Decimal(1) if told["currency"] == "jpy" else Decimal("0.01")
        assert row["total"] == told["total"] * unit
        assert row["created"].to_pydatetime() == told["created"]
    few = acme.view("invoices", test_mode=True, columns=["id", "total"], where={"currency": "jpy"})
    assert list(few.columns) == ["id", "total"]
    assert len(few) == sum(row["currency"] == "jpy" for row in expected.values())
    assert set(acme.view("workspaces")["slug"]) == {synced.own.workspace_slug}
    assert "eur" in set(acme.view("currencies")["code"])
    with pytest.raises(InvalidInputError, match=r"There is no table 'analytics\.nothing'"):
        acme.view("nothing")
    with pytest.raises(InvalidInputError, match="Views hold one mode each"):
        acme.table("analytics.invoices", livemode=True)


def test_a_view_as_a_file(database: Database, synced: Synced, tmp_path: Path) -> None:
    file = tmp_path / "invoices.parquet"
    with file.open("wb") as target:
        count = write_parquet(database, synced.own.workspace_id, "analytics_test.invoices", RowSelection(), target)
    assert count == len(rows_of(database, synced, "invoices"))
    written = io.BytesIO()
    few = RowSelection(("id", "total"))
    copy_rows(database, synced.own.workspace_id, "analytics_test.invoices", few, ExportFormat.CSV, written)
    assert len(written.getvalue().decode().splitlines()) == count + 1


def test_what_is_not_there(acme: Workspace) -> None:
    with pytest.raises(NotFoundError):
        Workspace("nobody-of-that-name")
    with pytest.raises(InvalidInputError, match="There is no table 'invoice'"):
        acme.table("invoice")
    with pytest.raises(InvalidInputError, match="invoices has no column 'amount'"):
        acme.table("invoices", columns=["amount"])
    with pytest.raises(InvalidInputError, match="cannot be selected: invalid input syntax"):
        acme.table("invoices", where={"amount_due": "much"})
    with pytest.raises(InvalidInputError, match="have no time of creation"):
        acme.table("invoice_line_items", since=datetime(2026, 1, 1, tzinfo=UTC))


def test_files_have_the_same_rows(database: Database, synced: Synced, tmp_path: Path) -> None:
    workspace, selection = synced.own.workspace_id, RowSelection(deleted=True)
    expected = rows_of(database, synced, "customers", deleted=True)
    file = tmp_path / "customers.parquet"
    with file.open("wb") as target:
        assert write_parquet(database, workspace, "customers", selection, target) == len(expected)
    of_parquet = parquet.read_table(file).to_pylist()
    texts = {}
    for file_format in ExportFormat:
        written = io.BytesIO()
        copy_rows(database, workspace, "customers", selection, file_format, written)
        texts[file_format] = written.getvalue().decode()
    of_csv = list(csv.DictReader(io.StringIO(texts[ExportFormat.CSV], newline="")))
    of_json = [json.loads(line) for line in texts[ExportFormat.JSONL].splitlines()]
    for name in ("id", "name", "balance", "created"):
        values = [_comparable(row[name]) for row in expected]
        assert [_comparable(row[name]) for row in of_parquet] == values
        if name != "created":
            assert [row[name] for row in of_json] == values
            assert [row[name] or None for row in of_csv] == [None if v in (None, "") else str(v) for v in values]


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return None
    return value.item() if hasattr(value, "item") else value


def _comparable(value: Any) -> Any:
    if isinstance(value, dict | list):
        return _JsonText(value)
    if value is None or isinstance(value, str | int | bool | Decimal | datetime):
        return value
    return str(value)


class _JsonText:
    """Equal to any text that says the same in JSON."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and json.loads(other) == self._value

    __hash__ = None  # type: ignore[assignment]
