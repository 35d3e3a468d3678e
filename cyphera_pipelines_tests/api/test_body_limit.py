"""Bodies that are announced and never come."""

import pytest

from cyphera_pipelines.api import body_limit
from cyphera_pipelines_tests.api.conftest import Client, RunningApi, until
from cyphera_pipelines_tests.api.raw_requests import connect, head, read_to_end, read_until


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(client: Client) -> None:
    with connect(client) as connection:
        connection.sendall(head(client, 2**40))
        said = read_until(connection, "urn:cyphera:problem:body-too-large")
    assert said.startswith("HTTP/1.1 413 ")


@pytest.mark.parametrize("sent", [b"", b'{"provider_name": '])
def test_a_body_that_does_not_come_is_not_waited_for(
    sent: bytes, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_limit, "BODY_WITHIN", 0.2)
    with connect(client) as connection:
        connection.sendall(head(client, 100) + sent)
        said = read_to_end(connection)
    assert said.startswith("HTTP/1.1 408 ")
    assert "urn:cyphera:problem:body-too-slow" in said
    assert client.get("/sessions").status_code == 200


def test_a_client_that_goes_away_before_its_body_is_no_error_of_ours(client: Client, api: RunningApi) -> None:
    begins_at = len(api.lines)
    with connect(client) as connection:
        connection.sendall(head(client, 100))
    until(lambda: any('"status":499' in line for line in api.lines[begins_at:]))
    assert not any("error of ours" in line for line in api.lines[begins_at:])
