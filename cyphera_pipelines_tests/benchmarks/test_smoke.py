"""Every scenario, tiny, through the command line: so that they cannot rot. What the figures are is no matter here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cyphera_pipelines.sandbox import SandboxState
from cyphera_pipelines_tests.benchmarks.dataset import benchmark_account, contents_of
from cyphera_pipelines_tests.benchmarks.scenarios import SCENARIOS
from cyphera_pipelines_tests.benchmarks.scenarios.analyst_questions import EXAMPLES, LOOK_UPS

pytestmark = pytest.mark.slow

SCALE = 0.004
DEFAULT = [name for name, scenario in SCENARIOS.items() if scenario.by_default]
MAY_BE_ZERO = {
    "first_load": {"of it background helpers", "the sandbox's own CPU"},
    "bare_loader": {"Postgres CPU per row"},
    "sdk_baseline": {"rows lost: beyond ten, and tiers"},
    "live_limits": {"requests refused with 429"},
    "unchanged": {"rows written", "WAL of synced tables", "Postgres CPU per row"},
    "idle_sources": {"rows written", "Postgres CPU per source"},
}
"""The system counts another process' CPU in hundredths of a second, which so small a sync may not take."""


def run_benchmarks(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cyphera_pipelines_tests.benchmarks", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmarks")


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    files = ["--json", str(folder / "figures.json"), "--chart", str(folder / "chart.svg")]
    ended = run_benchmarks("--scale", str(SCALE), *files)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def results(printed: str, folder: Path) -> dict[str, dict[str, float]]:
    figures: dict[str, Any] = json.loads((folder / "figures.json").read_text())
    return {
        result["scenario"]: {figure["name"]: figure["value"] for figure in result["figures"]}
        for result in figures["results"]
    }


def test_every_scenario_finds_its_figures(results: dict[str, dict[str, float]]) -> None:
    assert list(results) == DEFAULT
    for scenario, figures in results.items():
        zero = {name for name, value in figures.items() if value <= 0}
        assert zero <= MAY_BE_ZERO.get(scenario, set()), scenario


def test_the_rows_are_those_of_the_account(results: dict[str, dict[str, float]]) -> None:
    state = SandboxState([account := benchmark_account("benchmark", SCALE)])
    rows = pages = 0
    for collection, nested in {
        "customers": None, "products": None, "prices": "tiers", "subscriptions": "items", "invoices": "lines"
    }.items():  # fmt: skip
        objects = list(state.truth(account.account_id, collection))
        parts = [obj.get(nested) or [] for obj in objects] if nested else []
        lengths = [len(part["data"] if isinstance(part, dict) else part) for part in parts]
        rows += sum(len((obj.get("payments") or {}).get("data") or ()) for obj in objects)
        rows += len(objects) + sum(lengths) + sum(len(obj.get("currency_options") or ()) for obj in objects)
        pages += -(-len(objects) // 100)
        if nested != "tiers":
            pages += sum(-(-(length - 10) // 100) for length in lengths if length > 10)
    assert contents_of(account).all_requests == pages
    assert results["first_load"]["rows"] == rows
    assert results["live_limits"]["rows"] == rows
    assert results["unchanged"]["rows compared"] >= rows
    assert results["delta"]["changes"] == 500
    assert results["idle_sources"]["sources"] == 1_000 * SCALE


def test_the_table_and_the_chart_show_them(printed: str, folder: Path) -> None:
    for name in DEFAULT:
        assert name in printed
    chart = ElementTree.parse(folder / "chart.svg")  # noqa: S314 (our own)
    texts = [element.text for element in chart.iter() if element.tag.endswith("text")]
    assert "Cyphera Pipelines" in texts
    assert "stripe package, page by page" in texts


def test_an_unknown_scenario_is_refused() -> None:
    ended = run_benchmarks("fastest_load")
    assert ended.returncode == 2
    assert "fastest_load" in ended.stderr
    assert "first_load" in ended.stderr


def test_every_example_question_is_asked_and_its_plan_shown(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    ended = run_benchmarks("analyst_questions", "--scale", "0.001", "--json", str(file))
    assert ended.returncode == 0, ended.stderr
    (result,) = json.loads(file.read_text())["results"]
    asked = {figure["name"] for figure in result["figures"]}
    assert asked >= {example.stem for example in EXAMPLES.glob("*.sql")} | set(LOOK_UPS)
    assert "Index Cond" in ended.stdout


def test_figures_are_built_and_an_unchanged_build_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    ended = run_benchmarks("figures", "--scale", "0.002", "--json", str(file))
    assert ended.returncode == 0, ended.stderr
    (result,) = json.loads(file.read_text())["results"]
    figures = {figure["name"]: figure["value"] for figure in result["figures"]}
    assert figures["everything: rows"] > figures["subscriptions"] == 200
    assert figures["unchanged, in full: rows"] == figures["unchanged: rows"] == 0
    assert 0 < figures["1 % changed: rows"] <= 12


def test_an_outage_of_all_sources_is_two_messages(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    ended = run_benchmarks("outage", "--scale", "0.005", "--json", str(file))
    assert ended.returncode == 0, ended.stderr
    (result,) = json.loads(file.read_text())["results"]
    figures = {figure["name"]: figure["value"] for figure in result["figures"]}
    assert (figures["sources"], figures["messages"]) == (50, 2)
