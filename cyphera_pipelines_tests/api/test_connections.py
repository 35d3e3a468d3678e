"""Connections that are given up, and heads that are refused."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from cyphera_pipelines.api import connections
from cyphera_pipelines_tests.api.conftest import DEADLINE_SECONDS, PREFIX, Client, problem, until
from cyphera_pipelines_tests.api.raw_requests import connect, head, read_to_end, read_until

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"
TOO_LATE = "HTTP/1.1 408 Request Timeout"


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", ""),
        (b"GET /healthz HT", TOO_LATE),
        (HEALTH[:-2], TOO_LATE),
        (HEALTH + HEALTH[:9], ""),
        (HEALTH + HEALTH + b"G", ""),
        (HEALTH, ""),
    ],
    ids=["nothing", "a part", "all but the end", "a second in part", "a third in part", "idle afterwards"],
)
def test_a_head_that_does_not_come_is_not_waited_for(
    sent: bytes, answer: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN", 1.0)
    with connect(client) as connection:
        connection.sendall(sent)
        said = read_to_end(connection)
    assert said.count("HTTP/1.1 200 OK") == sent.count(HEALTH)
    assert (TOO_LATE in said) is bool(answer)
    assert client.get("/sessions").status_code == 200


def test_a_body_that_dribbles_after_its_answer_keeps_no_connection(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN", 1.0)
    with connect(client) as connection:
        connection.sendall(head(client, 10**6).replace(client.key.encode(), b"no key"))
        read_until(connection, " 401 ")
        _send_until_closed(connection, b"x")


def test_a_response_that_nobody_reads_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ANSWERED_WITHIN", 0.3)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(60)
        connection.connect((client.base_url.host, client.base_url.port))
        asked = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: here\r\n\r\n"
        connection.sendall(asked)
        _send_until_closed(connection, b"x")


def test_a_head_without_an_end_is_cut_off(client: Client) -> None:
    with connect(client) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: here\r\nX-Padding: ")
        _send_until_closed(connection, b"x" * 4_096)


def test_a_head_that_is_too_large_is_told_so(client: Client) -> None:
    with connect(client) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: here\r\nX-Padding: " + b"x" * connections.LARGEST_HEAD)
        said = read_to_end(connection)
    assert said.startswith("HTTP/1.1 431 Request Header Fields Too Large\r\n")


def _send_until_closed(connection: socket.socket, piece: bytes) -> None:
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        until(lambda: connection.sendall(piece))


@pytest.mark.parametrize("count", [10, 200])
def test_the_oldest_connection_without_a_head_makes_room(
    count: int, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_WITHOUT_A_HEAD", 5)
    with _many(client, count) as held:
        assert client.get("/sessions").status_code == 200
        until(lambda: sum(_is_closed(each) for each in held) >= count - 5)


@contextmanager
def _many(client: Client, count: int) -> Iterator[list[socket.socket]]:
    held = [connect(client) for _ in range(count)]
    try:
        yield held
    finally:
        for each in held:
            each.close()


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def repeated(client: Client, name: str, *values: str) -> httpx.Response:
    own = [(key, value) for key, value in client.headers.items() if key.lower() != name.lower()]
    spellings = (name, name.lower(), name.upper())
    headers = own + [(spellings[at % 3], value) for at, value in enumerate(values)]
    return httpx.get(f"{client.base_url}sessions", headers=headers, timeout=DEADLINE_SECONDS)


@pytest.mark.parametrize("name", ["X-API-Key", "X-Workspace-ID", "Content-Type", "Stripe-Signature", "Authorization"])
def test_a_header_that_is_repeated_is_refused_whatever_its_spelling(name: str, client: Client) -> None:
    own = client.headers.get(name, "something")
    for values in ((own, own), (own, "another"), ("another", own), (own, "", own)):
        document = problem(repeated(client, name, *values), 400)
        assert document["type"] == "urn:cyphera:problem:repeated-header"
        assert name in document["detail"]
        assert client.key not in document["detail"]
    assert repeated(client, name, own).status_code == 200


@pytest.mark.parametrize(
    "lengths",
    [("2", "3"), ("2", "2, 3"), ("+2",), ("-1",), ("0x2",), ("2 3",), ("9" * 40,), ("",)],
    ids=["two", "a list", "a sign", "negative", "hexadecimal", "a space", "enormous", "empty"],
)
def test_an_odd_length_is_refused_and_nothing_after_it_is_taken_for_a_request(
    lengths: tuple[str, ...], client: Client
) -> None:
    lines = [f"POST {PREFIX}/webhooks/stripe/7c9e6679-7425-40de-944b-e07fc1f90ae7 HTTP/1.1", "Host: here"]
    lines += [f"Content-Length: {length}" for length in lengths]
    with connect(client) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + b"{}" + HEALTH)
        said = read_to_end(connection)
    assert said.startswith(("HTTP/1.1 400 ", "HTTP/1.1 413 ")), said
    assert '{"status":"ok"}' not in said


def test_the_rest_of_a_refused_body_is_no_head(client: Client) -> None:
    with connect(client) as connection:
        connection.sendall(head(client, 2 * 2**20) + b"x" * 2 * 2**20 + HEALTH)
        said = read_until(connection, '{"status":"ok"}')
    assert said.startswith("HTTP/1.1 413 ")
    assert said.count("HTTP/1.1 ") == 2
