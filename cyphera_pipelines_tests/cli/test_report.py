"""`cyphera report`: the file that it writes, and what it says where there is nothing to report."""

import os
import stat
from pathlib import Path

from sqlalchemy import text

from cyphera_pipelines.figures.build import build_figures
from cyphera_pipelines.figures.revenue import build_revenue
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.cli.command import ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource


def test_a_page_that_only_its_maker_may_read(
    forked: ForkedCyphera, add_source: AddSource, cli_database: Database, tmp_path: Path
) -> None:
    slug, target = add_source(), tmp_path / "report.html"
    told = forked("report", slug, "--test-mode", "--out", str(target)).error()
    assert told.startswith("Not available: subscriptions of stripe were never listed to their end.")
    forked("sync", slug, "stripe").done()
    source = find_source(cli_database, f"{slug}:stripe")
    # As in a database that was upgraded and not synced since.
    with cli_database.control() as connection:
        for table in ("figure_builds", "subscription_mrr", "mrr_movements"):
            forget = text(f"DELETE FROM figures.{table} WHERE workspace_id = :id")
            assert connection.execute(forget, {"id": source.workspace_id}).rowcount > 0
    assert "have been made yet" in forked("report", slug, "--test-mode", "--out", str(target)).error()
    assert list(tmp_path.iterdir()) == []
    build_figures(cli_database, source, livemode=False)
    build_revenue(cli_database, source, livemode=False)

    target.write_text("the last one")
    ended = forked("report", slug, "--test-mode", "--out", str(target), "--currency", "usd")
    assert ended.done() == ""
    assert f"Wrote {target} (" in ended.err
    page = target.read_text(encoding="utf-8")
    assert "<h2>stripe, USD</h2>" in page
    assert page.count("<h2>") == 1
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [target]

    assert "add --test-mode for it" in forked("report", slug, "--out", str(target)).error()
    none = forked("report", slug, "--test-mode", "--currency", "xyz", "--out", str(target))
    assert "There never was MRR in XYZ." in none.err
    nowhere = forked("report", slug, "--test-mode", "--currency", "usd", "--out", "/nowhere/report.html")
    assert "/nowhere/report.html cannot be written: No such file or directory." in nowhere.err
    assert target.read_text(encoding="utf-8") == page

    link = tmp_path / "latest.html"
    link.symlink_to(target.name)
    target.write_text("the last one")
    forked("report", slug, "--test-mode", "--out", str(link), "--currency", "usd").done()
    assert link.is_symlink()
    assert "<h2>stripe, USD</h2>" in target.read_text(encoding="utf-8")


def test_only_a_regular_file_is_replaced(forked: ForkedCyphera, tmp_path: Path) -> None:
    pipe, folder, device, lost = (tmp_path / name for name in ("pipe", "folder", "device", "lost"))
    os.mkfifo(pipe)
    folder.mkdir()
    device.symlink_to("/dev/full")
    lost.symlink_to("lost")
    before = {each: each.lstat().st_mode for each in tmp_path.iterdir()}
    for each in (pipe, folder, device, lost):
        told = forked("report", "anybody", "--out", str(each)).error()
        assert told == (f"{each} is no regular file, and no link to one: name a file that is to be made or replaced.")
    assert {each: each.lstat().st_mode for each in tmp_path.iterdir()} == before


def test_a_workspace_without_a_source(forked: ForkedCyphera, tmp_path: Path) -> None:
    forked("workspace", "create", "reported-nothing").done()
    told = forked("report", "reported-nothing", "--out", str(tmp_path / "report.html")).error()
    assert told == (
        "Not available: workspace reported-nothing has no source. "
        "Connect one: cyphera source add reported-nothing PROVIDER --api-key-stdin"
    )
