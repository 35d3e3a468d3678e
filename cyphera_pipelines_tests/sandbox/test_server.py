"""The server around it: the control interface, a process of its own, and where it may listen."""

import signal
import subprocess
import sys
import threading
from dataclasses import replace

import psutil
import pytest
import requests

from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxOptions, SandboxProcess, SandboxServer, serve
from cyphera_pipelines_tests.sandbox.conftest import ACCOUNT, KEY, Get, small_account


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])  # noqa: S104
def test_only_loopback_is_listened_on(host: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        serve([small_account()], host=host)


def test_a_taken_port_is_an_error(server: SandboxServer) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        SandboxServer([], port=port).start()


def test_a_server_can_be_stopped_and_started_again() -> None:
    server = SandboxServer([small_account()])
    for _ in range(2):
        with server:
            assert requests.get(f"{server.url}/_sandbox/health", timeout=120).json()["status"] == "ok"
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{server.url}/_sandbox/health", timeout=120)


def test_watchers_see_requests_before_they_are_answered(server: SandboxServer, get: Get) -> None:
    seen: list[tuple[str, str]] = []

    def change_between_pages(endpoint: str, query: str) -> None:
        seen.append((endpoint, query))
        if len(seen) == 2:
            server.state.apply_changes(ACCOUNT, create={"customers": 1})

    server.state.watchers.append(change_between_pages)
    newest = get("/v1/customers", limit=1).json()["data"][0]["id"]
    assert get("/v1/customers", limit=1).json()["data"][0]["id"] != newest
    assert seen == [("GET /v1/customers", "limit=1")] * 2


def test_a_request_is_counted_before_its_answer_is_there(server: SandboxServer, get: Get) -> None:
    interval = sys.getswitchinterval()
    # Whoever has the answer goes on at once, as on a busy machine.
    sys.setswitchinterval(1e-6)
    try:
        for number in range(1, 301):
            get("/v1/customers", limit=1)
            assert server.state.counters.total == number
    finally:
        sys.setswitchinterval(interval)


def test_counters(server: SandboxServer, get: Get) -> None:
    get("/v1/customers", limit=3)
    get("/v1/customers/cus_none")
    counts = server.state.counters.snapshot()
    assert counts["total"] == 2
    assert counts["by_endpoint"] == {"GET /v1/customers": 1, "GET /v1/customers/:id": 1}
    assert counts["by_status"] == {"200": 1, "404": 1}
    assert counts["by_account"] == {ACCOUNT: 2}
    assert [(seen.path, seen.query) for seen in server.state.counters.recent] == [
        ("/v1/customers", "limit=3"),
        ("/v1/customers/cus_none", ""),
    ]
    server.state.counters.reset()
    assert server.state.counters.snapshot()["total"] == 0


def test_a_process_is_driven_over_http() -> None:
    with SandboxProcess([small_account()]) as process, SandboxServer([small_account()]) as server:
        names = ("customers", "prices", "invoices")
        for name in names:
            assert list(process.truth(ACCOUNT, name)) == list(server.state.truth(ACCOUNT, name))
        changed = process.apply_changes(ACCOUNT, create={"invoices": 2}, update={"customers": 2}, at=1_795_000_000)
        same = server.state.apply_changes(ACCOUNT, create={"invoices": 2}, update={"customers": 2}, at=1_795_000_000)
        # But for the events' ids, which nobody ever gives twice.
        told = [[replace(change, event_id=None) for change in changes] for changes in (changed, same)]
        assert told[0] == told[1]
        assert not {change.event_id for change in changed} & {change.event_id for change in same}
        customer, other = (whole["id"] for whole in list(process.truth(ACCOUNT, "customers"))[:2])
        process.patch(ACCOUNT, customer, {"name": "half \ud83d"}, remove=["email"], with_event=False)
        whole = process.object(ACCOUNT, customer)
        assert whole["name"] == "half \ud83d"
        assert "email" not in whole
        process.poison(ACCOUNT, customer, "created_null")
        assert process.object(ACCOUNT, customer)["created"] is None
        process.delete(ACCOUNT, other)
        assert process.deleted_ids(ACCOUNT, "customers") == [other]
        url = f"{process.url}/v1/customers"
        process.reset_counters()
        process.set_faults([Fault(kind=FaultKind.ERROR_500, times=1)])
        statuses = [requests.get(url, auth=(KEY, ""), timeout=120).status_code for _ in range(2)]
        assert statuses == [500, 200]
        assert process.counters()["by_status"] == {"500": 1, "200": 1}
        process.set_options(SandboxOptions(account_rate=0.001, burst=1))
        statuses = [requests.get(url, auth=(KEY, ""), timeout=120).status_code for _ in range(2)]
        assert statuses == [200, 429]
        process.set_options(SandboxOptions())
        process.put_account(small_account(api_key="sk_test_other", account_id="acct_other", customers=3))
        assert len(list(process.truth("acct_other", "customers"))) == 3
        process.warm("acct_other")
        with pytest.raises(KeyError):
            process.object(ACCOUNT, "cus_none")
        with pytest.raises(KeyError):
            process.apply_changes("acct_none")
        with pytest.raises(KeyError):
            list(process.truth(ACCOUNT, "disputes"))
        with pytest.raises(ValueError, match="is not one of"):
            process.apply_changes(ACCOUNT, create={"refunds": 1})
        pid = process.pid
    assert not psutil.pid_exists(pid)


def test_the_control_interface(server: SandboxServer) -> None:
    url = f"{server.url}/_sandbox"
    assert requests.get(f"{url}/health", timeout=120).json() == {"status": "ok", "accounts": 1}
    assert requests.get(f"{url}/accounts", timeout=120).json()[0]["account_id"] == ACCOUNT
    assert requests.patch(f"{url}/options", json={"latency_ms": 1}, timeout=120).json()["latency_ms"] == 1
    fault = {"kind": "drop", "path": "/v1/invoices"}
    assert requests.post(f"{url}/faults", json=fault, timeout=120).json()["hits"] == [0]
    assert requests.get(f"{url}/faults", timeout=120).json()["faults"][0]["kind"] == "drop"
    assert requests.delete(f"{url}/faults", timeout=120).json()["faults"] == []
    assert requests.post(f"{url}/changes", json={"account": ACCOUNT, "created": {}}, timeout=120).status_code == 400
    assert requests.post(f"{url}/changes", data="{", timeout=120).status_code == 400
    assert requests.get(f"{url}/requests", timeout=120).json() == []
    missing = requests.get(f"{url}/accounts/acct_none/truth/customers", timeout=120)
    assert missing.status_code == 404


def test_no_thread_lingers() -> None:
    before = set(threading.enumerate())
    with SandboxServer([small_account()]):
        assert set(threading.enumerate()) - before
    assert not {thread for thread in threading.enumerate() if thread.name == "sandbox"} - before


_PARENT = """
import sys
from cyphera_pipelines.sandbox import SandboxProcess, demo_accounts
process = SandboxProcess(demo_accounts()).start()
print(process.pid, flush=True)
sys.stdin.read()
"""


def test_a_process_ends_with_a_killed_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(120)


def test_serve_runs_until_it_is_told_to_stop() -> None:
    program = "from cyphera_pipelines.sandbox import *; serve(demo_accounts(), on_ready=lambda u: print(u, flush=True))"
    for ending in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as serving:
            assert serving.stdout is not None
            url = serving.stdout.readline().strip()
            assert requests.get(f"{url}/_sandbox/health", timeout=120).json()["accounts"] == 2
            serving.send_signal(ending)
            serving.wait(120)
