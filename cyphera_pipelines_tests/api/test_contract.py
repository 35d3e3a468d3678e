"""Schemathesis against the running API: all its checks, with a bounded number of examples."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines_tests.api.conftest import ACCOUNT, Client, MakeClient, RunningApi

PROGRAM = Path(sys.executable).with_name("schemathesis")
HOOKS = "cyphera_pipelines_tests.api.schemathesis_hooks"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 6
SEED = 7


OF_OBJECTS = "^/api/v1/.provider./"


def test_the_api_keeps_its_contract(api: RunningApi, client: Client, sandbox: SandboxServer, tmp_path: Path) -> None:
    lines = try_everything(api, client, sandbox, tmp_path, "--exclude-path-regex", OF_OBJECTS)
    assert len(lines) > 500, "it was tried in earnest"


def test_so_do_the_routes_of_objects(
    api: RunningApi, make_client: MakeClient, sandbox: SandboxServer, tmp_path: Path
) -> None:
    client = connected_client(make_client, sandbox)
    phases = ["--phases", "examples,fuzzing", "--max-examples", "2"]
    assert len(try_everything(api, client, sandbox, tmp_path, "--include-path-regex", OF_OBJECTS, *phases)) > 100


@pytest.mark.slow
def test_so_do_the_routes_of_objects_with_every_odd_value(
    api: RunningApi, make_client: MakeClient, sandbox: SandboxServer, tmp_path: Path
) -> None:
    client = connected_client(make_client, sandbox)
    assert len(try_everything(api, client, sandbox, tmp_path, "--include-path-regex", OF_OBJECTS)) > 1_000


def connected_client(make_client: MakeClient, sandbox: SandboxServer) -> Client:
    """A client that may do everything, of a workspace that has an account."""
    client = make_client(level=KeyLevel.ADMIN)
    credentials = {"api_key": ACCOUNT.api_key, "base_url": sandbox.url}
    fast = {"rate_limits": {"account": 5_000, "endpoint": 5_000}}
    body = {"provider_name": "stripe", "configuration": credentials, "metadata": fast}
    made = client.post("/config", json=body)
    assert made.status_code == 201, made.text
    return client


def try_everything(api: RunningApi, client: Client, sandbox: SandboxServer, folder: Path, *options: str) -> list[str]:
    """Let Schemathesis try these operations with all its checks, and return what the API logged meanwhile."""
    begins_at = len(api.lines)
    command = [str(PROGRAM), f"--config-file={CONFIGURATION}", "run", f"{api.url}/openapi.json"]
    for name in ("X-API-Key", "X-Workspace-ID"):
        command += ["--header", f"{name}: {client.headers[name]}"]
    command += ["--max-examples", str(EXAMPLES), "--seed", str(SEED), "--checks", "all", "--no-color"]
    command += ["--continue-on-failure", "--warnings", "off", "--suppress-health-check", "all"]
    # Postgres' text cannot hold it; the document cannot say so of a value inside free JSON.
    command += ["--generation-allow-x00", "false", *options]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(Path.cwd())}
    environment["CONTRACT_SANDBOX_URL"] = sandbox.url
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    lines = api.lines[begins_at:]
    assert not any('"status":500' in line or "error of ours" in line for line in lines)
    return lines
