"""`cyphera export`: one table, to a file or a pipe, and nothing half done."""

import csv
import io
import json
import stat
from pathlib import Path

import pytest
from pyarrow import parquet

from cyphera_pipelines.sandbox import SandboxAccount
from cyphera_pipelines_tests.cli.command import ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource


@pytest.fixture(scope="module")
def slug(forked: ForkedCyphera, add_source: AddSource) -> str:
    """A workspace that was synced."""
    slug = add_source()
    forked("sync", slug, "stripe").done()
    return slug


def test_to_standard_output(forked: ForkedCyphera, slug: str, account: SandboxAccount) -> None:
    rows = list(csv.DictReader(io.StringIO(forked("export", slug, "customers").done())))
    assert len(rows) == account.customers
    lines = forked("export", slug, "invoices", "--format", "jsonl", "--columns", "id, status").done().splitlines()
    assert len(lines) == account.invoices
    assert set(json.loads(lines[0])) == {"id", "status"}


def test_to_a_file_that_only_its_maker_may_read(forked: ForkedCyphera, slug: str, tmp_path: Path) -> None:
    file = tmp_path / "paid.parquet"
    chosen = ("--where", "status=paid", "--where", "status=open")
    ended = forked("export", slug, "invoices", "--format", "parquet", "--out", str(file), *chosen)
    ended.done()
    rows = parquet.read_table(file).to_pylist()
    assert {row["status"] for row in rows} <= {"paid", "open"}
    assert f"Exported {len(rows)} rows of invoices of workspace {slug} to {file}." in ended.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "exists already" in forked("export", slug, "invoices", "--out", str(file)).err
    assert parquet.read_table(file).num_rows == len(rows)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("invoice",), "There is no table 'invoice'. The tables are: customers, "),
        (("invoices", "--columns", "amount"), "invoices has no column 'amount'. It has: workspace_id, "),
        (("invoices", "--where", "amount_due=much"), "cannot be selected: invalid input syntax for type bigint"),
        (("invoices", "--where", "status"), "--where takes a column and its value, as in status=paid"),
        (("prices", "--mode", "gone"), "'gone' is not one of 'live', 'test', 'both'"),
    ],
)
def test_what_cannot_be_had_leaves_nothing(
    forked: ForkedCyphera, slug: str, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    ended = forked("export", slug, *arguments, "--out", str(tmp_path / "rows.csv"))
    assert ended.code != 0
    assert told in " ".join(ended.err.split())
    assert not list(tmp_path.iterdir())
