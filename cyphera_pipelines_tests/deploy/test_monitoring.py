"""That Prometheus understands the files in `deploy/`, and that what they ask for is told."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from cyphera_pipelines.api.metrics import SyncMetrics, observe_request, observe_webhook, render
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.deploy.files import DEPLOY

PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "cyphera-rules.yml"
DASHBOARD = DEPLOY / "grafana" / "cyphera.json"
PAGE = DEPLOY.parent / "docs" / "monitoring.md"
COURSES = Path(__file__).with_name("cyphera-rules-test.yml")

_SELECTED = re.compile(r"\b(cyphera_[a-z_]+)(?:\{([^}]*)\})?")
_MATCHED = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"')
_GROUPED = re.compile(r"\bby \(([a-z_, ]+)\)")


@pytest.fixture(scope="module")
def told(database: Database) -> dict[str, set[str]]:
    """The names of all samples that /metrics has, each with its labels."""
    observe_request("GET", "/healthz", 200, 0.01)
    observe_webhook("stripe", "applied")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(render(SyncMetrics(database)).decode()):
        # Of sources there may be none yet in this database.
        found.setdefault(family.name, set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from group["rules"]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    of_panels = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + of_panels


def promtool(*arguments: str | Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: make test-tools")
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_that_is_asked_for_is_told_with_these_labels(told: dict[str, set[str]]) -> None:
    asked = expressions()
    assert len(asked) > 40
    for expression in asked:
        selected = _SELECTED.findall(expression)
        assert selected or expression.startswith("up{"), expression
        known = set[str]()
        for name, matchers in selected:
            assert name in told, f"{name} in {expression}"
            assert set(_MATCHED.findall(matchers)) <= told[name], expression
            known |= told[name]
        for labels in _GROUPED.findall(expression):
            assert {label.strip() for label in labels.split(",")} <= known | {"configuration_id"}, expression


def test_each_alert_says_what_happened_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert f"| `{rule['alert']}` | {rule['labels']['severity']} |" in PAGE.read_text(), rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        assert rule["annotations"]["description"].endswith("."), rule["alert"]


def test_each_panel_says_what_it_shows() -> None:
    for panel in panels():
        assert panel["title"], panel["id"]
        assert panel["description"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]


def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")
    promtool("check", "rules", RULES)


def test_prometheus_takes_what_the_dashboard_asks(tmp_path: Path) -> None:
    asked = [
        {"record": f"panel:{number}", "expr": target["expr"].replace("$__rate_interval", "2m")}
        for number, target in enumerate(target for panel in panels() for target in panel["targets"])
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": asked}]}))
    promtool("check", "rules", file)


def test_the_rules_tell_of_what_they_are_for_and_of_nothing_else(tmp_path: Path) -> None:
    courses = tmp_path / COURSES.name
    courses.write_text(COURSES.read_text().replace("RULES", str(RULES)))
    promtool("test", "rules", courses)
