"""Health, metrics, logs, and what the API does when something is wrong."""

import json
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine, text

from cyphera_pipelines.api.app import create_app
from cyphera_pipelines.api.dagster_runs import DagsterRuns
from cyphera_pipelines.model.freshness import Freshness
from cyphera_pipelines.model.sessions import SessionEvent, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.secrets import redact, register_secret
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.activity import LAG_BUCKETS, read_activity
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.sessions import finish_session, get_session
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.api.conftest import (
    DEADLINE_SECONDS,
    PREFIX,
    Client,
    MakeClient,
    RunningApi,
    problem,
    serving,
    until,
)
from cyphera_pipelines_tests.providers.header_server import HeaderServer
from cyphera_pipelines_tests.test_planted_secrets import FAILURES, Echo

API_KEY = "rk_live_51PlantedInTheApi99"
ODD_API_KEY = "correct/horse+battery:staple=7391"
WEBHOOK_SECRET = "planted*in?the~api!1357"
FORBIDDEN = ("PlantedInTheApi", "planted*in", "the~api")


def elsewhere(there: Database, **parts: Any) -> Database:
    """The same, at another address."""
    return Database(create_engine(there.engine.url.set(**parts)), "", there.dagster_url)


def test_a_healthy_api_says_so(api: RunningApi) -> None:
    assert api.ask("GET", "/healthz").json() == {"status": "ok"}
    ready = api.ask("GET", "/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert set(ready.json()["checks"]) == {"database", "migrations", "dagster"}


def test_readiness_names_what_is_missing(settings: Settings, keyring: Keyring, database: Database) -> None:
    lost = elsewhere(database, host="127.0.0.1", port=9, query={})
    with serving(create_app(lost, keyring, settings, DagsterRuns("http://127.0.0.1:9"))) as api:
        document = problem(api.ask("GET", "/readyz"), 503)
        assert document["checks"].keys() == {"database", "dagster"}
        assert "database: The database does not answer." in document["detail"]
        assert api.ask("GET", "/healthz").status_code == 200
        assert str(lost.engine.url) not in api.ask("GET", "/readyz").text
    lost.close()
    without_schema = elsewhere(database, database="postgres")
    with serving(create_app(without_schema, keyring, settings, None)) as api:
        document = problem(api.ask("GET", "/readyz"), 503)
        assert document["checks"] == {"migrations": "The database has no Cyphera schema yet. Run: cyphera db upgrade"}
    without_schema.close()


def test_a_lost_database_is_a_503_that_says_when_to_come_again(
    settings: Settings, keyring: Keyring, database: Database, client: Client
) -> None:
    lost = elsewhere(database, host="127.0.0.1", port=9, query={})
    with serving(create_app(lost, keyring, settings, None)) as api:
        for path in (f"{PREFIX}/sessions", "/metrics"):
            response = api.ask("GET", path, headers=client.headers)
            assert problem(response, 503)["type"] == "urn:cyphera:problem:unavailable"
            assert int(response.headers["Retry-After"]) > 0
            assert "127.0.0.1" not in response.text
        assert any("Connection refused" in line and '"level":"error"' in line for line in api.lines)
    lost.close()


def test_an_unexpected_error_tells_its_request_id_and_nothing_else(
    settings: Settings, keyring: Keyring, database: Database
) -> None:
    app = create_app(database, keyring, settings, None)

    def fail() -> None:
        register_secret("in-no-known-shape")
        raise RuntimeError(f"with {API_KEY} and in-no-known-shape inside")

    app.add_api_route("/fail", fail)
    with serving(app) as api:
        response = api.ask("GET", "/fail", headers={"X-Request-ID": "my-own.id_7"})
        document = problem(response, 500)
        assert document["request_id"] == "my-own.id_7"
        assert "RuntimeError" not in response.text
        (line,) = [json.loads(line) for line in api.lines if "RuntimeError" in line]
        assert line["request_id"] == "my-own.id_7"
        assert "with rk_live_*** and *** inside" in line["error"]
        assert redact("in-no-known-shape") == "in-no-known-shape", "it was that request's only"


@pytest.mark.parametrize("given", ["", "x" * 129, "two words", "sk_live_\r", 'quote"'])
def test_an_odd_request_id_is_replaced(given: str, api: RunningApi) -> None:
    headers = {"X-Request-ID": given} if "\r" not in given else {}
    assert len(UUID(api.ask("GET", "/healthz", headers=headers).headers["X-Request-ID"]).hex) == 32


def test_every_request_is_a_line_without_its_contents(client: Client, api: RunningApi) -> None:
    begins_at = len(api.lines)
    response = client.get(f"/sessions/{uuid4()}/status", params={"token": "planted-query"})
    expected: dict[str, Any] = {
        "method": "GET",
        "route": f"{PREFIX}/sessions/{{session_id}}/status",
        "status": 404,
        "workspace_id": str(client.workspace.id),
        "request_id": response.headers["X-Request-ID"],
        "level": "info",
    }
    until(lambda: any(expected["request_id"] in line for line in api.lines))
    lines = [json.loads(line) for line in api.lines[begins_at:]]
    (line,) = [line for line in lines if line.get("request_id") == expected["request_id"]]
    assert expected.items() <= line.items()
    assert line["ms"] > 0
    assert not any("planted-query" in line or client.key in line for line in api.lines)


def test_what_is_not_there_is_a_problem_too(api: RunningApi, client: Client) -> None:
    for path in ("/", "/api/v1/sync", "/api/v1/sync/config/", "/api/v1/sync/nothing/at/all"):
        problem(api.ask("GET", path, headers=client.headers), 404)
    response = client.patch("/config/stripe")
    problem(response, 405)
    assert response.headers["Allow"] == "DELETE, GET, PUT"
    response = api.ask("PUT", "/healthz")
    problem(response, 405)
    assert response.headers["Allow"] == "GET"


@pytest.mark.parametrize("path", ["/ops", "/ops/alerts", "/ops/sign-in", "/ops/errors", "/docs", "/openapi.json"])
def test_what_is_outside_of_the_document_says_what_it_takes_too(path: str, api: RunningApi) -> None:
    allowed = "GET, HEAD, POST" if path == "/ops/sign-in" else "GET, HEAD"
    for method in ("OPTIONS", "TRACE"):
        answer = api.ask(method, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed), answer.text
    shown, asked = api.ask("GET", path), api.ask("HEAD", path)
    assert asked.status_code == shown.status_code
    assert asked.headers.get("Content-Type") == shown.headers.get("Content-Type")
    assert asked.content == b""


def test_the_documents_are_there(api: RunningApi) -> None:
    assert "swagger" in api.ask("GET", "/docs").text.lower()
    document = api.ask("GET", "/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            assert described["description"], (method, path)
            for status, response in described["responses"].items():
                types = set(response.get("content", {}))
                expected = {"application/problem+json"} if int(status) >= 400 else types - {"application/problem+json"}
                assert types == expected, (method, path, status)


def test_two_hundred_clients_at_once_are_all_answered(make_client: MakeClient) -> None:
    client = make_client()
    client.post("/config", json={"provider_name": "stripe", "configuration": {"api_key": "sk_test_api_many"}})
    session_id = client.post("/stripe/initial").json()["session_id"]
    paths = ["/sessions", f"/sessions/{session_id}/status", "/config/stripe"]

    def ask(number: int) -> set[int]:
        # One for all threads would be one client, whose pool of connections is not safe for so many.
        with httpx.Client(
            base_url=client.base_url, headers=client.headers, timeout=DEADLINE_SECONDS, verify=no_tls
        ) as own:
            return {own.get(paths[(number + at) % len(paths)]).status_code for at in range(2)}

    no_tls = ssl.create_default_context()
    with ThreadPoolExecutor(200) as threads:
        assert set[int]().union(*threads.map(ask, range(200))) == {200}


def metrics_of(api: RunningApi) -> dict[str, dict[tuple[str, ...], float]]:
    response = api.ask("GET", "/metrics")
    assert response.status_code == 200
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_metrics_count_requests_by_route_template(api: RunningApi, client: Client) -> None:
    route = f"{PREFIX}/sessions/{{session_id}}"
    before = metrics_of(api)["cyphera_http_requests_total"].get(("GET", route, "404"), 0)
    for _ in range(3):
        client.get(f"/sessions/{uuid4()}")
    found = metrics_of(api)
    assert found["cyphera_http_requests_total"]["GET", route, "404"] == before + 3
    assert found["cyphera_http_request_seconds_count"]["GET", route] >= 3
    assert {"pending", "running"} == {status for (status,) in found["cyphera_sessions_unfinished"]}
    assert {"completed", "partial", "failed", "cancelled"} == {
        status for (status,) in found["cyphera_sessions_ended_last_hour"]
    }
    assert len(found["cyphera_source_lag_seconds_bucket"]) == len(LAG_BUCKETS) + 1
    assert "cyphera_oldest_pending_session_seconds" in found
    assert {state for (state,) in found["cyphera_sources"]} == {each.value for each in Freshness}
    assert {"cyphera_sources_paused_by_people", "cyphera_sources_overdue", "cyphera_source_overdue_seconds_max"} <= set(
        found
    )
    for name in ("requests", "requests_repeated", "requests_rate_limited"):
        assert f"cyphera_provider_{name}_last_hour" in found


def test_metrics_name_no_workspace(api: RunningApi, client: Client, add_source: Callable[..., Source]) -> None:
    add_source("sk_test_api_metrics", workspace=client.workspace)
    shown = api.ask("GET", "/metrics").text
    assert client.workspace.slug not in shown
    assert str(client.workspace.id) not in shown


def test_activity_is_what_sessions_say(database: Database, add_source: Callable[..., Source]) -> None:
    source = add_source("sk_test_api_activity")
    before = read_activity(database, stalest=1_000)
    counts = {"created": 5, "updated": 4, "unchanged": 3, "deleted": 2, "failed": 1}
    for status in (SessionStatus.PARTIAL, SessionStatus.PARTIAL, SessionStatus.FAILED):
        session = open_session(database, source, SyncRequest())
        progress = {"entities": {"customers": counts, "invoices": counts}, "requests": 10, "retries": 6}
        finish_session(database, session, status, progress=progress)
        details = {"kind": "rate_limited", "count": 4}
        record_events(database, session, [SessionEvent("requests_repeated", "Slow.", event_details=details)])
    waiting = open_session(database, source, SyncRequest())
    after = read_activity(database, stalest=1_000)
    assert {name: after.rows[name] - before.rows.get(name, 0) for name in counts} == {
        name: 6 * count for name, count in counts.items()
    }
    assert after.ended["partial"] - before.ended.get("partial", 0) == 2
    assert after.ended["failed"] - before.ended.get("failed", 0) == 1
    assert after.unfinished["pending"] - before.unfinished.get("pending", 0) == 1
    assert (after.requests - before.requests, after.retries - before.retries) == (30, 18)
    assert after.rate_limited - before.rate_limited == 12
    assert sum(after.lag_counts) == sum(before.lag_counts)
    with database.control() as connection:
        for table, column in (
            ("payment_sync_sessions", "completed_at"),
            ("workspace_payment_configurations", "last_sync_at"),
        ):
            moved = f"UPDATE sync.{table} SET {column} = now() - interval '2 hours' WHERE workspace_id = :id"
            connection.execute(text(moved), {"id": source.workspace_id})
        asked_earlier = "UPDATE sync.payment_sync_sessions SET created_at = now() - interval '40 days' WHERE id = :id"
        connection.execute(text(asked_earlier), {"id": waiting.id})
    later = read_activity(database, stalest=1_000)
    assert later.ended.get("partial", 0) == before.ended.get("partial", 0)
    assert 7_000 < later.stalest[source.configuration_id] < 8_000
    assert 40 * 86_400 <= later.oldest_pending < 41 * 86_400
    assert get_session(database, source.workspace_id, waiting.id).status is SessionStatus.PENDING
    finish_session(database, waiting, SessionStatus.CANCELLED)


@pytest.fixture
def hostile() -> Iterator[HeaderServer]:
    with HeaderServer() as server:
        yield server


def test_planted_secrets_come_out_nowhere(api: RunningApi, client: Client, hostile: HeaderServer) -> None:
    begins_at, answers = len(api.lines), []

    def ask(method: str, path: str, **body: Any) -> Any:
        response = client.request(method, path, **body)
        answers.append(f"{response.text} {response.headers}")
        return response.json() if response.content else None

    credentials = {"api_key": API_KEY, "webhook_secret": WEBHOOK_SECRET, "base_url": hostile.url}
    body = {"provider_name": "stripe", "configuration": credentials}
    made = ask("POST", "/config", json=body)
    ask("POST", "/config", json=body)
    ask("POST", "/config", json={**body, "is_test_mode": True, API_KEY: WEBHOOK_SECRET})
    ask("POST", "/config", json={**body, "metadata": API_KEY, "webhook_endpoint_url": WEBHOOK_SECRET})
    ask("PUT", f"/config/{made['id']}", json={"configuration": {**credentials, "environment": "two"}})
    ask("PUT", f"/config/{made['id']}", json={"is_test_mode": True})
    codes = set()
    for failure in FAILURES:
        hostile.answer_with(Echo(failure))
        tested = ask("POST", f"/config/{made['id']}/test")
        codes |= {each["code"] for each in tested["problems"]}
    assert {"wrong_key", "network_failure", "provider_down", "provider_error"} <= codes
    for path in (
        "/config",
        "/config/stripe",
        "/accounts",
        "/sessions",
        f"/config/{API_KEY}",
        f"/sessions?status={API_KEY}",
    ):
        ask("GET", path)
    answers += [api.ask("GET", path).text for path in ("/metrics", "/readyz", "/openapi.json")]
    lines = api.lines[begins_at:]
    assert made["id"] in "".join(answers), "the search finds what is there"
    assert any(f'"workspace_id":"{client.workspace.id}"' in line for line in lines)
    for said in (*answers, *lines):
        for secret in (*FORBIDDEN, client.key, client.key[-20:]):
            assert secret not in said


@pytest.mark.parametrize("failure", ["400", "403"])
def test_an_odd_key_that_a_provider_repeats_comes_out_nowhere(
    failure: str, api: RunningApi, client: Client, hostile: HeaderServer
) -> None:
    begins_at = len(api.lines)
    credentials = {"api_key": ODD_API_KEY, "base_url": hostile.url}
    made = client.post("/config", json={"provider_name": "stripe", "configuration": credentials})
    hostile.answer_with(Echo(failure))
    tested = client.post(f"/config/{made.json()['id']}/test")
    assert "is bad: Bearer ***" in tested.text
    for said in (made.text, tested.text, *api.lines[begins_at:]):
        assert "horse+battery" not in said
