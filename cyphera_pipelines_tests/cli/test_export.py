"""`cyphera export-workspace`: whole, of one workspace, without secrets, and nothing half done."""

import csv
import io
import json
import stat
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.sandbox import SandboxAccount
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.export import ExportFormat, export_workspace
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.cli.command import ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource

SECRET = "whsec_of_an_export"


@pytest.fixture(scope="module")
def workspace(forked: ForkedCyphera, add_source: AddSource, cli_database: Database) -> Workspace:
    """A workspace that was synced, beside another one."""
    slug, other = add_source(), add_source()
    forked("source", "update", slug, "stripe", "--webhook-secret-env", "HOOK", HOOK=SECRET).done()
    forked("key", "create", slug, "--name", "backend").done()
    forked("analyst", "add", slug, "jane").done()
    for each in (slug, other):
        forked("sync", each, "stripe").done()
    odd = 'a "quoted"\tname,\nwith \\ and ü'
    with cli_database.control() as connection:
        rename = text(
            "UPDATE payments.customers SET name = :name WHERE workspace_id = "
            "(SELECT id FROM sync.workspaces WHERE slug = :slug)"
        )
        connection.execute(rename, {"name": odd, "slug": slug})
    return find_workspace(cli_database, slug)


def test_every_row_of_the_workspace_is_in_the_archive_and_no_other(
    forked: ForkedCyphera, workspace: Workspace, cli_database: Database, account: SandboxAccount, tmp_path: Path
) -> None:
    target = tmp_path / "export.zip"
    told = forked("export-workspace", workspace.slug, "--to", str(target)).done()
    assert told.endswith(f"tables of workspace {workspace.slug} to {target}.\n")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with zipfile.ZipFile(target) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    manifest = json.loads(files.pop("manifest.json"))
    assert {table["file"] for table in manifest["tables"]} == set(files)
    with cli_database.control() as connection:
        for table in manifest["tables"]:
            own = "id" if table["table"] == "sync.workspaces" else "workspace_id"
            count = text(f"SELECT count(*) FROM {table['table']} WHERE {own} = :id")
            rows = [json.loads(line) for line in files[table["file"]].splitlines()]
            # That it was exported is told afterwards.
            told_since = table["table"] == "sync.audit_entries"
            assert len(rows) == table["rows"]
            assert len(rows) + told_since == connection.execute(count, {"id": workspace.id}).scalar_one()
            assert {row[own] for row in rows} <= {str(workspace.id)}
            assert all(row.keys() == table["columns"].keys() for row in rows)
    customers = [json.loads(line) for line in files["payments.customers.jsonl"].splitlines()]
    assert len(customers) == account.customers
    assert {customer["name"] for customer in customers} == {'a "quoted"\tname,\nwith \\ and ü'}
    assert json.loads(files["sync.payment_sync_sessions.jsonl"])["status"] == "completed"
    assert "configuration.changed" in files["sync.audit_entries.jsonl"]
    assert manifest["analysts"] == [f"{workspace.slug}_jane"]
    everything = "".join(files.values())
    assert not any(secret in everything for secret in (SECRET, account.api_key))
    assert not any(column in everything for column in ('"key_hash"', '"configuration":', '"key_digest"'))
    newest = forked("audit", workspace.slug, "--json").json()[0]
    assert (newest["action"], newest["details"]["rows"]) == (
        "workspace.exported",
        sum(table["rows"] for table in manifest["tables"]),
    )


def test_csv_in_a_folder_reads_back(forked: ForkedCyphera, workspace: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "export"
    forked("export-workspace", workspace.slug, "--to", str(target), "--format", "csv").done()
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    with (target / "payments.customers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["name"] for row in rows} == {'a "quoted"\tname,\nwith \\ and ü'}
    manifest = json.loads((target / "manifest.json").read_text())
    assert {table["table"]: table["rows"] for table in manifest["tables"]}["payments.customers"] == len(rows)
    again = forked("export-workspace", workspace.slug, "--to", str(target)).error()
    assert f"{target} exists already" in again
    assert "There is no folder" in forked("export-workspace", workspace.slug, "--to", "/nowhere/at/all").error()
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_an_export_is_of_one_moment(workspace: Workspace, cli_database: Database) -> None:
    """What is written meanwhile is not in it, in whichever table."""
    counts: list[int] = []

    class _Sink(io.BytesIO):
        def __exit__(self, *_error: object) -> None:
            counts.append(self.getvalue().count(b"\n"))

    def open_file(name: str) -> io.BytesIO:
        with cli_database.control() as connection:
            connection.execute(
                text(
                    "INSERT INTO sync.audit_entries (workspace_id, actor, action, subject_id, outcome) "
                    "VALUES (:id, 'test', :name, 'x', 'done')"
                ),
                {"id": workspace.id, "name": name},
            )
        return _Sink()

    with cli_database.control() as connection:
        before = connection.execute(
            text("SELECT count(*) FROM sync.audit_entries WHERE workspace_id = :id"), {"id": workspace.id}
        ).scalar_one()
    exported = export_workspace(cli_database, workspace, ExportFormat.JSONL, open_file)
    assert {table.table: table.rows for table in exported}["sync.audit_entries"] == before
    assert [table.rows for table in exported] == counts
