"""Schemathesis against the running API: all its checks, with a bounded number of examples."""

import os
import subprocess
import sys
from pathlib import Path

from cyphera_pipelines_tests.api.conftest import Client, RunningApi

PROGRAM = Path(sys.executable).with_name("schemathesis")
HOOKS = "cyphera_pipelines_tests.api.schemathesis_hooks"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 6
SEED = 7


def test_the_api_keeps_its_contract(api: RunningApi, client: Client, tmp_path: Path) -> None:
    begins_at = len(api.lines)
    command = [str(PROGRAM), f"--config-file={CONFIGURATION}", "run", f"{api.url}/openapi.json"]
    for name in ("X-API-Key", "X-Workspace-ID"):
        command += ["--header", f"{name}: {client.headers[name]}"]
    command += ["--max-examples", str(EXAMPLES), "--seed", str(SEED), "--checks", "all", "--no-color"]
    command += ["--continue-on-failure", "--warnings", "off", "--suppress-health-check", "all"]
    # Postgres' text cannot hold it; the document cannot say so of a value inside free JSON.
    command += ["--generation-allow-x00", "false"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(Path.cwd())}
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    lines = api.lines[begins_at:]
    assert len(lines) > 500, "it was tried in earnest"
    assert not any('"status":5' in line or "error of ours" in line for line in lines)
