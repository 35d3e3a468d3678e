"""The README's curl examples, run in their order as a reader would."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from cyphera_pipelines_tests.api.conftest import PREFIX, Client, RunningApi

README = Path(__file__).parents[2] / "README.md"


def examples() -> list[str]:
    """The shell blocks of the workspace admin's section that call curl."""
    section = README.read_text().partition("### Workspace admin\n")[2].partition("\n### ")[0]
    return [block for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) if block.startswith("curl ")]


def test_the_curl_examples_work(api: RunningApi, client: Client) -> None:
    create, start, watch = examples()
    environment = {
        **os.environ,
        "CYPHERA_API": api.url + PREFIX,
        "API_KEY": client.key,
        "WORKSPACE_ID": str(client.workspace.id),
    }

    def run(command: str, **more: str) -> Any:
        outcome = subprocess.run(
            ["sh", "-euc", command], capture_output=True, text=True, env={**environment, **more}, check=False
        )
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return json.loads(outcome.stdout)

    assert run(create)["provider_name"] == "stripe"
    started = run(start)
    assert (started["status"], started["entity_types"]) == ("pending", ["customers", "invoices"])
    watched = run(watch, SESSION_ID=started["session_id"])
    assert watched["status"] == "pending"
    assert watched["progress"]["percent"] == 0
    assert run("curl -sS $CYPHERA_API/sessions -H X-API-Key:$API_KEY -H X-Workspace-ID:$WORKSPACE_ID")["total"] == 1
