"""`cyphera key`, `cyphera api` and `cyphera openapi`."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from cyphera_pipelines.cli.running.ports import free_port
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines_tests.api.conftest import until
from cyphera_pipelines_tests.cli.command import DEADLINE_SECONDS, Cyphera, ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource
from cyphera_pipelines_tests.cli.test_services import listens, when_ready


@contextmanager
def serving(
    cyphera: Cyphera, *options: str, stderr: int = subprocess.PIPE
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    port = free_port()
    process = cyphera.start("api", "--port", str(port), *options, stderr=stderr)
    url = f"http://127.0.0.1:{port}"
    try:
        assert when_ready(lambda: requests.get(f"{url}/healthz", timeout=120)).json() == {"status": "ok"}
        yield process, url
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=DEADLINE_SECONDS)


def test_a_key_is_made_used_listed_and_revoked(cyphera: Cyphera, forked: ForkedCyphera, add_source: AddSource) -> None:
    slug = add_source()
    printed = forked("key", "create", slug, "--name", "backend")
    headers = dict(line.split(": ") for line in printed.done().splitlines())
    assert headers.keys() == {"X-API-Key", "X-Workspace-ID"}
    assert "cannot be shown again" in printed.err
    second = forked("key", "create", slug, "--json").json()
    with serving(cyphera) as (process, url):
        ask = f"{url}/api/v1/sync/config/stripe"
        first = requests.get(ask, headers=headers, timeout=120)
        assert first.json()["workspace_id"] == headers["X-Workspace-ID"]
        listed = forked("key", "list", slug, "--json").json()
        (backend,) = [key for key in listed if key["name"] == "backend"]
        assert backend["last_used_at"] is not None
        assert backend["revoked_at"] is None
        assert headers["X-API-Key"].startswith(f"cyk_{backend['id'].replace('-', '')}_")
        assert f"Revoked key backend ({backend['id'][:8]})." in forked("key", "revoke", backend["id"]).done()
        assert requests.get(ask, headers=headers, timeout=120).status_code == 401
        other = {**headers, "X-API-Key": second["api_key"]}
        assert requests.get(ask, headers=other, timeout=120).status_code == 200
        process.send_signal(signal.SIGTERM)
        output, log = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    assert "Stopped." in output
    assert [json.loads(line)["status"] for line in log.splitlines() if "config/{reference}" in line] == [200, 401, 200]
    listing = forked("key", "list", slug).done()
    assert "backend" in listing
    for key in (headers["X-API-Key"], second["api_key"]):
        assert key not in log + listing + json.dumps(listed)


def test_an_operator_s_key_is_made_listed_and_revoked(forked: ForkedCyphera) -> None:
    printed = forked("key", "create", "--operator", "--name", "jane", "--read-only", "--expires", "90d")
    text = printed.done().strip()
    assert re.fullmatch(r"cyo_[0-9a-f]{32}_[A-Za-z0-9_-]{43}", text)
    assert "Sign in with it at the API's page, as in http://127.0.0.1:8000/ops." in printed.err
    (jane,) = [key for key in forked("key", "list", "--operators", "--json").json() if key["name"] == "jane"]
    assert (jane["level"], jane["revoked_at"], jane["last_used_at"]) == ("read", None, None)
    assert jane["created_by"].startswith("cli:")
    assert jane["expires_at"] is not None
    assert "jane" in forked("key", "list", "--operators").done()
    assert f"Revoked key jane ({jane['id'][:8]})." in forked("key", "revoke", jane["id"][:8]).done()
    assert "was revoked already" in forked("key", "revoke", jane["id"]).error()
    assert text.split("_", 2)[2] not in json.dumps(jane)
    told = [entry for entry in forked("audit", "--json").json() if entry["subject_id"] == jane["id"]]
    assert [entry["action"] for entry in told] == ["operator_key.revoked", "operator_key.created"]
    assert {"name": "jane", "level": "read"}.items() <= told[1]["details"].items()
    assert re.search(r"\(the deployment\) +.+ operator_key\.created", forked("audit").done())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("key", "create"), "Name the workspace that the key opens, as in: cyphera key create acme; or --operator."),
        (("key", "create", "acme", "--operator"), "or --operator."),
        (("key", "create", "--operator", "--write"), "takes a workspace's key: cyphera key create SLUG --write"),
        (("key", "create", "--operator", "--export"), "--export is for a workspace's key"),
        (("key", "list"), "Name the workspace, as in: cyphera key list acme; or --operators."),
        (("key", "create", "nobody"), "There is no workspace 'nobody'"),
        (("key", "revoke", "nonsense"), "'nonsense' is not a key's id, nor its first 4 characters or more."),
        (("key", "revoke", "7c9e6679-7425-40de-944b-e07fc1f90ae7"), "There is no key 7c9e6679"),
    ],
)
def test_a_mistake_with_a_key_is_one_sentence(arguments: tuple[str, ...], says: str, forked: ForkedCyphera) -> None:
    assert says in forked(*arguments).error()


def test_a_port_in_use_is_one_sentence(cyphera: Cyphera) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert f"cannot listen on 127.0.0.1, port {port}" in cyphera("api", "--port", str(port)).error()


def test_several_workers_count_as_one_and_stop_together(cyphera: Cyphera) -> None:
    with serving(cyphera, "--workers", "2") as (process, url):
        for _ in range(30):
            # A connection each, so that both workers get some.
            requests.get(f"{url}/healthz", timeout=120, headers={"Connection": "close"})
        # A request is counted once it has been answered.
        until(lambda: healthz_requests(url) >= 31)
        assert {healthz_requests(url) for _ in range(6)} == {31}, "whichever worker is asked tells of both"
        workers = [each for each in psutil.Process(process.pid).children() if "spawn_main" in " ".join(each.cmdline())]
        assert len(workers) == 2
        process.send_signal(signal.SIGINT)
        output, _log = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    assert "Stopped." in output
    assert not listens(int(url.rpartition(":")[2]))
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in workers)


def healthz_requests(url: str) -> float:
    text = requests.get(f"{url}/metrics", timeout=120, headers={"Connection": "close"}).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    (count,) = [
        sample.value
        for sample in samples
        if sample.name == "cyphera_http_requests_total" and sample.labels["route"] == "/healthz"
    ]
    return count


def test_the_document_is_printed_without_a_database(cyphera: Cyphera) -> None:
    nowhere = {"CYPHERA_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}
    document = cyphera("openapi", **nowhere).json()
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/sync/{provider}/initial" in document["paths"]
    assert os.environ.get("CYPHERA_DATABASE_URL") is None


def test_a_request_at_work_is_answered_before_the_end(
    cyphera: Cyphera, forked: ForkedCyphera, add_source: AddSource, sandbox: SandboxServer
) -> None:
    slug = add_source()
    headers = dict(line.split(": ") for line in forked("key", "create", slug).done().splitlines())
    options = sandbox.state.options
    with serving(cyphera) as (process, url), ThreadPoolExecutor(1) as threads:
        base = f"{url}/api/v1/sync/config"
        made = requests.get(f"{base}/stripe", headers=headers, timeout=120).json()
        sandbox.state.set_options(options.model_copy(update={"latency_ms": 400}))
        sandbox.state.counters.reset()
        try:
            tested = threads.submit(requests.post, f"{base}/{made['id']}/test", headers=headers, timeout=60)
            until(lambda: sandbox.state.counters.most_concurrent > 0)
            process.send_signal(signal.SIGTERM)
            assert tested.result().json()["success"] is True
        finally:
            sandbox.state.set_options(options)
        output, _log = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, output.splitlines()[-1]) == (0, "Stopped.")
