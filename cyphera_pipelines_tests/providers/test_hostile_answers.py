"""Answers that take for ever, have no end, or are none: each is given up in time, without much memory, and named."""

import socket
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import (
    Change,
    Interval,
    ProviderError,
    ProviderUnavailableError,
    RequestAbandonedError,
)
from cyphera_pipelines.providers.http import attempt, exchange
from cyphera_pipelines.providers.http.failures import AnswerTooLargeError
from cyphera_pipelines_tests.hostile import HostileProvider, Misbehaviour, Wire, misbehaviour
from cyphera_pipelines_tests.providers.conftest import Connect
from cyphera_pipelines_tests.receiver import wait_for

DEADLINE_SECONDS = 120.0
LATE = {
    "no-answer": misbehaviour.never_answers(),
    "slow-head": misbehaviour.slow_head(),
    "announced-for-ever": misbehaviour.continues_for_ever(),
    "slow-body": misbehaviour.slow_body(),
}


@pytest.fixture
def provider() -> Iterator[HostileProvider]:
    with HostileProvider() as running:
        yield running


@contextmanager
def silent_server() -> Iterator[str]:
    """It takes connections and says nothing: to a client of TLS, the handshake never ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def full_server() -> Iterator[str]:
    """Its queue of connections is full: connecting to it takes for ever."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = [socket.socket() for _each in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        yield f"127.0.0.1:{address[1]}"
        for each in waiting:
            each.close()


@pytest.mark.parametrize("how", LATE.values(), ids=LATE)
def test_an_answer_that_takes_for_ever_is_given_up(
    how: Misbehaviour, provider: HostileProvider, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LONGEST_WAIT", 0.02)
    provider.misbehave("/v1/account", how)
    with pytest.raises(ProviderUnavailableError, match=r"^Reading the account failed: .* gave no whole answer in time"):
        connect(base_url=provider.url, answer_within=0.8).account()
    # The server may read the last of them after it was given up.
    wait_for(lambda: len(provider.asked) == exchange.ATTEMPTS_TOO_LATE)
    provider.behave()
    assert connect(base_url=provider.url).account().id == "acct_hostile"


def test_an_answer_that_keeps_coming_is_not_given_up(
    provider: HostileProvider, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "SLOWEST", 1.0)
    body = provider.account.as_body(provider.account.account)

    def in_pieces(wire: Wire) -> None:
        wire.send(wire.head({"Content-Length": str(300_000)}) + body + b" " * (270_000 - len(body)))
        for _piece in range(3):
            wire.pause(1.2)
            wire.send(b" " * 10_000)

    provider.misbehave("/v1/account", in_pieces)
    assert connect(base_url=provider.url, answer_within=3.0, attempts=1).account().id == "acct_hostile"


@pytest.mark.parametrize("how", LATE.values(), ids=LATE)
def test_a_cancellation_breaks_off_whatever_is_waited_for(
    how: Misbehaviour, provider: HostileProvider, connect: Connect
) -> None:
    asked, cancelled = threading.Event(), threading.Event()

    def tell(wire: Wire) -> None:
        asked.set()
        how(wire)

    provider.misbehave("/v1/account", tell)
    client = connect(base_url=provider.url, is_cancelled=cancelled.is_set)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.account)
        assert asked.wait(DEADLINE_SECONDS)
        cancelled.set()
        with pytest.raises(RequestAbandonedError):
            waiting.result(DEADLINE_SECONDS)


@pytest.mark.parametrize("server", [silent_server, full_server], ids=["handshake", "connect"])
def test_a_cancellation_breaks_off_connecting(server: object, connect: Connect) -> None:
    cancelled = threading.Event()
    assert callable(server)
    with server() as address, ThreadPoolExecutor(1) as threads:
        client = connect(base_url=f"https://{address}", is_cancelled=cancelled.is_set)
        waiting = threads.submit(client.account)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        cancelled.set()
        with pytest.raises(RequestAbandonedError):
            waiting.result(DEADLINE_SECONDS)


def test_one_account_s_cancellation_is_no_other_s(provider: HostileProvider, connect: Connect) -> None:
    """Both use the same pool of connections."""
    go_on, cancelled = threading.Event(), threading.Event()

    def wait(wire: Wire) -> None:
        go_on.wait(DEADLINE_SECONDS)
        wire.answer(wire_body)

    wire_body = provider.account.as_body(provider.account.account)
    provider.misbehave("/v1/account", wait)
    with ThreadPoolExecutor(2) as threads:
        mine = threads.submit(connect("sk_test_mine", provider.url, is_cancelled=cancelled.is_set).account)
        other = threads.submit(connect("sk_test_other", provider.url, attempts=1).account)
        cancelled.set()
        with pytest.raises(RequestAbandonedError):
            mine.result(DEADLINE_SECONDS)
        go_on.set()
        assert other.result(DEADLINE_SECONDS).id == "acct_hostile"


@pytest.mark.parametrize("how", [misbehaviour.endless_body(), misbehaviour.gzip_bomb()], ids=["endless", "gzip-bomb"])
def test_an_answer_without_end_is_not_held_in_memory_nor_asked_for_again(
    how: Misbehaviour, provider: HostileProvider, connect: Connect
) -> None:
    provider.misbehave("/v1/account", how)
    client = connect(base_url=provider.url)
    tracemalloc.start()
    try:
        with pytest.raises(AnswerTooLargeError, match="reading the account is larger than 8 MiB"):
            client.account()
        assert tracemalloc.get_traced_memory()[1] < 24 * misbehaviour.MEBIBYTE
    finally:
        tracemalloc.stop()
    assert len(provider.asked) == 1


def test_another_address_is_not_gone_to(provider: HostileProvider, connect: Connect) -> None:
    provider.misbehave("/v1/account", misbehaviour.redirects(f"{provider.url}/v1/elsewhere"))
    with pytest.raises(ProviderUnavailableError, match="redirects reading the account to another address"):
        connect(base_url=provider.url).account()
    assert provider.paths() == ["/v1/account"]


@pytest.mark.parametrize("status", [302, 500, 404])
def test_an_error_without_end_is_an_error_all_the_same(
    status: int, provider: HostileProvider, connect: Connect
) -> None:
    provider.misbehave("/v1/account", misbehaviour.endless_body(status=status, location="/v1/elsewhere"))
    with pytest.raises(ProviderError):
        connect(base_url=provider.url, attempts=1).account()
    assert provider.paths() == ["/v1/account"]


@pytest.mark.parametrize(
    ("how", "what"),
    [
        (misbehaviour.html(), "is no JSON (its content type is text/html)"),
        (misbehaviour.body(b"It works!", content_type="text/plain"), "is no JSON (its content type is text/plain)"),
        (misbehaviour.json_value([1]), "is JSON, but no object: it is a list (its content type is application/json)"),
        (misbehaviour.json_value(5.5), "no object: it is a number"),
        (misbehaviour.json_value("text"), "no object: it is a text"),
        (misbehaviour.json_value(True), "no object: it is true or false"),
        (misbehaviour.json_value(None), "no object: it is null"),
    ],
)
def test_what_is_no_answer_at_all_is_named_and_asked_for_once(
    how: Misbehaviour, what: str, provider: HostileProvider, connect: Connect
) -> None:
    provider.misbehave("*", how)
    client = connect(base_url=provider.url)
    with pytest.raises(ProviderError) as caught:
        client.list_page(Entity.CUSTOMERS, interval=Interval(), cursor=None, limit=100)
    assert str(caught.value).startswith("The answer to listing customers ")
    assert what in str(caught.value)
    assert "cut off" not in str(caught.value)
    with pytest.raises(ProviderError, match="Check that the configuration's base_url leads to Stripe's API"):
        client.fetch(Change(Entity.CUSTOMERS, "cus_1", 1.0))
    assert len(provider.asked) == 2


@pytest.mark.parametrize(
    "error",
    [
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b"<html></html>",
        b"\xff\xfe",
        b'{"error": []}',
        b'{"error": 5}',
        b'{"error": "invalid_client"}',
        b'{"error": {"message": {"a": [1]}, "code": [], "param": {}, "type": 7}}',
        b'{"error": {"message": "\\u0000\\ud800"}}',
        b"[" * 20_000,
        b'{"error": {"message": "%b"}}' % (b"x" * 100_000),
    ],
)
@pytest.mark.parametrize("status", [204, 304, 400, 401, 402, 403, 404, 409, 418, 429, 500])
def test_whatever_stands_in_an_error_it_is_one_of_ours(
    status: int, error: bytes, provider: HostileProvider, connect: Connect
) -> None:
    provider.misbehave("*", misbehaviour.body(error if status not in (204, 304) else b"", status=status))
    client = connect(base_url=provider.url, attempts=1, rate_limit_patience=0.0)
    with pytest.raises(ProviderError) as caught:
        client.account()
    assert len(str(caught.value)) < 1_000
    assert "\x00" not in str(caught.value)
