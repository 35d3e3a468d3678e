"""Many requests at once: what one client takes is not taken from the others."""

import pytest

from cyphera_pipelines.api import body_limit, request_log
from cyphera_pipelines.api.places import MOST_OF_ONE_KEY
from cyphera_pipelines_tests.api.conftest import DEADLINE_SECONDS, MakeClient, RunningApi, problem, until
from cyphera_pipelines_tests.api.raw_requests import waiting_requests


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests without their body are waited for as long as a test takes."""
    monkeypatch.setattr(body_limit, "BODY_WITHIN", DEADLINE_SECONDS)


def test_one_key_cannot_take_all_places(make_client: MakeClient) -> None:
    greedy, other = make_client(), make_client()
    colleague = make_client(greedy.workspace)
    with waiting_requests(greedy, MOST_OF_ONE_KEY):
        until(lambda: greedy.get("/sessions").status_code == 429)
        response = greedy.get("/sessions")
        document = problem(response, 429)
        assert document["type"] == "urn:cyphera:problem:too-many-requests"
        assert int(response.headers["Retry-After"]) > 0
        for client in (other, colleague):
            assert client.get("/sessions").status_code == 200
        forged = f"{greedy.key[:-4]}AAAA"
        problem(greedy.get("/sessions", headers={"X-API-Key": forged}), 401)
    until(lambda: greedy.get("/sessions").status_code == 200)


def test_a_busy_process_still_says_that_it_is_alive(
    make_client: MakeClient, api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "MOST_AT_ONCE", 3)
    client = make_client()
    with waiting_requests(client, 3):
        until(lambda: client.get("/sessions").status_code == 503)
        assert problem(client.get("/sessions"), 503)["type"] == "urn:cyphera:problem:unavailable"
        assert api.ask("GET", "/healthz").json() == {"status": "ok"}
    until(lambda: client.get("/sessions").status_code == 200)
