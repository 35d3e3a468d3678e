"""Faults: what they do to a client, and which requests they hit."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import stripe

from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxOptions, SandboxServer, create_app
from cyphera_pipelines.sandbox.faults import Faults
from cyphera_pipelines.sandbox.stripe.generate.ugly import POISONS
from cyphera_pipelines_tests.sandbox.conftest import ACCOUNT, Get, client_of, small_account


def test_http_errors(server: SandboxServer, get: Get) -> None:
    for kind, status in ((FaultKind.ERROR_500, 500), (FaultKind.ERROR_502, 502), (FaultKind.ERROR_503, 503)):
        server.state.faults.set([Fault(kind=kind, path="/v1/invoices*")])
        response = get("/v1/invoices")
        assert response.status_code == status
        is_page = response.headers["Content-Type"] == "text/html"
        assert is_page == (status != 500)
        assert get("/v1/customers").status_code == 200
    server.state.faults.set([Fault(kind=FaultKind.RATE_LIMIT, reason="endpoint-rate", retry_after=2)])
    stormy = get("/v1/customers")
    assert (stormy.status_code, stormy.headers["Retry-After"]) == (429, "2")
    server.state.faults.set([Fault(kind=FaultKind.UNAUTHORIZED)])
    with pytest.raises(stripe.AuthenticationError):
        client_of(server).v1.customers.list()


def test_broken_connections(server: SandboxServer, get: Get) -> None:
    server.state.faults.set([Fault(kind=FaultKind.DROP, times=1)])
    with pytest.raises(requests.ConnectionError):
        get("/v1/customers")
    assert get("/v1/customers").status_code == 200
    server.state.faults.set([Fault(kind=FaultKind.TRUNCATE, times=1)])
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        get("/v1/customers")
    server.state.faults.set([Fault(kind=FaultKind.CUT_JSON, times=1)])
    cut = get("/v1/customers")
    assert cut.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        cut.json()
    server.state.faults.set([Fault(kind=FaultKind.STALL, seconds=0.05, times=1)])
    with pytest.raises(requests.ConnectionError):
        get("/v1/customers")
    server.state.faults.set([Fault(kind=FaultKind.STALL, times=1)])
    with pytest.raises(requests.Timeout):
        requests.get(f"{server.url}/v1/account", headers={"Authorization": "Bearer sk_test_small"}, timeout=1.0)
    assert get("/v1/customers").json()["data"]
    counts = server.state.counters
    assert counts.by_fault == {"drop": 1, "truncate": 1, "cut_json": 1, "stall": 2}


def test_large_pages_can_be_the_ones_that_break(server: SandboxServer, get: Get) -> None:
    server.state.faults.set([Fault(kind=FaultKind.CUT_JSON, limit_over=20)])
    with pytest.raises(requests.exceptions.JSONDecodeError):
        get("/v1/invoices", limit=100).json()
    assert len(get("/v1/invoices", limit=20).json()["data"]) == 20
    assert len(get("/v1/invoices").json()["data"]) == 10


def hits(fault: Fault, requests_made: int, seed: int = 1) -> list[int]:
    faults = Faults([fault], seed)
    return [number for number in range(requests_made) if faults.choose("/v1/invoices", ACCOUNT, None)]


def test_which_requests_are_hit() -> None:
    assert hits(Fault(kind=FaultKind.DROP, times=2), 5) == [0, 1]
    assert hits(Fault(kind=FaultKind.DROP, every=3), 7) == [2, 5]
    assert hits(Fault(kind=FaultKind.DROP, after=4, times=1), 9) == [4]
    assert hits(Fault(kind=FaultKind.DROP, path="/v1/customers*"), 9) == []
    assert hits(Fault(kind=FaultKind.DROP, account_id="acct_other"), 9) == []
    often = Fault(kind=FaultKind.DROP, probability=0.3)
    assert hits(often, 1_000) == hits(often, 1_000)
    assert hits(often, 1_000) != hits(often, 1_000, seed=2)
    assert 200 < len(hits(often, 1_000)) < 400


def test_latency_overlaps() -> None:
    together = 8
    barrier = threading.Barrier(together)
    with SandboxServer([small_account()], SandboxOptions(latency_ms=150, latency_jitter_ms=50)) as server:

        def ask(_number: int) -> int:
            barrier.wait(120)
            url = f"{server.url}/v1/account"
            return requests.get(url, auth=("sk_test_small", ""), timeout=120).status_code

        with ThreadPoolExecutor(together) as pool:
            assert list(pool.map(ask, range(together))) == [200] * together
        assert server.state.counters.most_concurrent > 1


def test_poison_changes_one_object(server: SandboxServer, get: Get) -> None:
    ids = [customer["id"] for customer in get("/v1/customers", limit=100).json()["data"]]
    for object_id, kind in zip(ids, POISONS, strict=False):
        server.state.poison(ACCOUNT, object_id, kind)
    page = get("/v1/customers", limit=100)
    assert b"\\ud83d" in page.content
    data = page.json()["data"]
    assert data[0]["created"] is None
    assert data[1]["created"] == "yesterday"
    assert "id" not in data[2]
    assert len(data) == 100
    assert get("/v1/events").json()["data"] == []
    with pytest.raises(KeyError):
        server.state.poison(ACCOUNT, "cus_none", "created_null")
    with pytest.raises(KeyError):
        server.state.poison(ACCOUNT, ids[0], "unknown")


def test_a_fault_that_closes_needs_our_server() -> None:
    app = create_app([small_account()], SandboxOptions(faults=(Fault(kind=FaultKind.DROP),)))
    scope = {"type": "http", "method": "GET", "path": "/v1/account", "query_string": b"", "headers": []}

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(_message: object) -> None:
        raise AssertionError("nothing can be sent")

    with pytest.raises(RuntimeError, match="SandboxServer"):
        asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
