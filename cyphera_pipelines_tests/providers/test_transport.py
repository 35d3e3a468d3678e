"""How requests are made: headers, connections, and what is tried again how often."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import pytest
import stripe

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import (
    Change,
    CredentialsRejectedError,
    CursorLostError,
    Interval,
    LimitMet,
    LimitScope,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    RequestAbandonedError,
    RequestNote,
    RetryKind,
    Turn,
    Unlimited,
)
from cyphera_pipelines.providers.http import exchange
from cyphera_pipelines.providers.http.failures import LONGEST_RETRY_AFTER, UnreadableBodyError
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxOptions, SandboxServer
from cyphera_pipelines_tests.providers.conftest import ACCOUNT, Connect
from cyphera_pipelines_tests.providers.header_server import Answer, HeaderServer

FIRST_PAGE: dict[str, Any] = {"interval": Interval(), "cursor": None, "limit": 10}


@pytest.fixture
def server() -> Iterator[HeaderServer]:
    with HeaderServer() as running:
        yield running


def fail(sandbox: SandboxServer, kind: FaultKind, **fault: Any) -> None:
    sandbox.state.set_options(SandboxOptions(faults=(Fault(kind=kind, **fault),)))


def test_every_request_names_the_key_and_the_pinned_version(server: HeaderServer, connect: Connect) -> None:
    connect("sk_test_named", server.url).check_readable(Entity.PRICES)
    (asked,) = server.asked
    assert asked.path == "/v1/prices?limit=1"
    assert asked.headers["authorization"] == "Bearer sk_test_named"
    assert asked.headers["stripe-version"] == stripe.api_version
    assert "cookie" not in asked.headers


def test_what_a_listing_asks_for(server: HeaderServer, connect: Connect) -> None:
    server.answer_with(Answer(body=b'{"data": [], "has_more": false}'))
    client = connect(base_url=server.url)
    client.list_page(Entity.SUBSCRIPTIONS, interval=Interval(5, 9), cursor="sub_1", limit=7)
    client.list_page(Entity.PRICES, **FIRST_PAGE)
    assert [asked.path for asked in server.asked] == [
        "/v1/subscriptions?limit=7&status=all&created%5Bgte%5D=5&created%5Blt%5D=9&starting_after=sub_1"
        "&expand%5B%5D=data.discounts.source.coupon&expand%5B%5D=data.items.data.discounts",
        "/v1/prices?limit=10&expand%5B%5D=data.tiers&expand%5B%5D=data.currency_options",
    ]


def test_connections_are_shared_by_all_accounts_and_used_again(server: HeaderServer, connect: Connect) -> None:
    for number in range(4):
        client = connect(f"sk_test_{number}", server.url)
        client.check_readable(Entity.CUSTOMERS)
        client.check_readable(Entity.INVOICES)
        client.close()
    assert len(server.asked) == 8
    assert len({asked.port for asked in server.asked}) == 1


def test_requests_at_once_have_a_connection_each_and_keep_them(server: HeaderServer, connect: Connect) -> None:
    client, together = connect(base_url=server.url), threading.Barrier(6)

    def answer_when_all_are_there(_asked: object) -> Answer:
        together.wait(120)
        return Answer()

    server.answer_with(answer_when_all_are_there)
    with ThreadPoolExecutor(6) as threads:
        for _round in range(3):
            list(threads.map(client.check_readable, [Entity.CUSTOMERS] * 6))
    assert len(server.asked) == 18
    assert len({asked.port for asked in server.asked}) == 6


def test_cookies_are_not_kept(server: HeaderServer, connect: Connect) -> None:
    server.answer_with(Answer(headers={"Set-Cookie": "tenant=one; Path=/"}))
    for key in ("sk_test_one", "sk_test_other"):
        connect(key, server.url).check_readable(Entity.CUSTOMERS)
    assert not [asked for asked in server.asked if "cookie" in asked.headers]


def test_redirects_are_not_followed_and_not_tried_again(server: HeaderServer, connect: Connect) -> None:
    with HeaderServer() as elsewhere:
        server.answer_with(Answer(302, headers={"Location": f"{elsewhere.url}/v1/account"}))
        with pytest.raises(ProviderUnavailableError, match="redirects reading the account to another address"):
            connect(base_url=server.url).account()
        assert elsewhere.asked == []
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("kind", "retry_kind"),
    [
        (FaultKind.ERROR_500, RetryKind.PROVIDER_ERROR),
        (FaultKind.ERROR_502, RetryKind.PROVIDER_ERROR),
        (FaultKind.ERROR_503, RetryKind.PROVIDER_ERROR),
        (FaultKind.DROP, RetryKind.CONNECTION_LOST),
        (FaultKind.TRUNCATE, RetryKind.BODY_UNREADABLE),
        (FaultKind.CUT_JSON, RetryKind.BODY_UNREADABLE),
        (FaultKind.RATE_LIMIT, RetryKind.RATE_LIMITED),
    ],
)
def test_what_may_pass_is_tried_again(
    kind: FaultKind, retry_kind: RetryKind, sandbox: SandboxServer, connect: Connect
) -> None:
    fail(sandbox, kind, times=1)
    notes: list[RequestNote] = []
    assert connect(on_retry=notes.append).account().id == ACCOUNT.account_id
    (note,) = notes
    assert (note.kind, note.operation, note.attempt) == (retry_kind, "reading the account", 1)
    assert 0.2 < note.wait <= 0.5
    assert sandbox.state.counters.total == 2


@pytest.mark.parametrize("kind", [FaultKind.ERROR_500, FaultKind.DROP, FaultKind.CUT_JSON])
def test_what_does_not_pass_is_given_up_after_so_many_attempts(
    kind: FaultKind, sandbox: SandboxServer, connect: Connect
) -> None:
    fail(sandbox, kind)
    notes: list[RequestNote] = []
    with pytest.raises(ProviderUnavailableError, match=r"[Rr]eading the account"):
        connect(on_retry=notes.append, attempts=2).account()
    assert (sandbox.state.counters.by_fault[kind], len(notes)) == (2, 1)


@pytest.mark.parametrize(
    ("rate_limits", "failure"), [(8, Answer(500)), (3, Answer(body=b'{"id":'))], ids=["error", "garbled"]
)
def test_rate_limits_use_up_no_attempts(
    rate_limits: int, failure: Answer, server: HeaderServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange.Exchange, "_sleep", lambda _self, _seconds: None)
    answers = iter([*[Answer(429)] * rate_limits, failure, Answer(body=b'{"id": "acct_1"}')])
    server.answer_with(lambda _asked: next(answers))
    notes: list[RequestNote] = []
    assert connect(base_url=server.url, on_retry=notes.append).account().id == "acct_1"
    assert len(notes) == rate_limits + 1
    assert notes[-1].wait <= 0.5, "it is the first of its kind"


def test_waits_grow_up_to_a_bound(connect: Connect, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer) -> None:
    """The waiting itself is left out here."""
    monkeypatch.setattr(exchange.Exchange, "_sleep", lambda _self, _seconds: None)
    fail(sandbox, FaultKind.ERROR_500)
    notes: list[RequestNote] = []
    with pytest.raises(ProviderUnavailableError):
        connect(on_retry=notes.append, attempts=10).account()
    longest = [0.25 * 2**attempt for attempt in range(1, 10)]
    assert len(notes) == len(longest)
    for note, bound in zip(notes, longest, strict=True):
        assert min(bound, 30) / 2 <= note.wait <= min(bound, 30)


def test_a_wrong_key_is_not_tried_again(sandbox: SandboxServer, connect: Connect) -> None:
    with pytest.raises(CredentialsRejectedError, match=r"^Stripe rejects the API key: .*Check the key in the Stripe"):
        connect("sk_test_unknown").account()
    assert sandbox.state.counters.total == 1


def test_a_missing_permission_is_named_and_not_tried_again(sandbox: SandboxServer, connect: Connect) -> None:
    restricted = ACCOUNT.model_copy(update={"restricted_keys": {"rk_test_narrow": frozenset({"price"})}})
    sandbox.state.put_account(restricted)
    with pytest.raises(
        PermissionDeniedError, match=r"Give the key the permission rak_plan_read, or leave prices out\.$"
    ):
        connect("rk_test_narrow").check_readable(Entity.PRICES)
    assert sandbox.state.counters.total == 1


def test_what_cannot_be_left_out_is_not_said_to_be(sandbox: SandboxServer, connect: Connect) -> None:
    restricted = ACCOUNT.model_copy(update={"restricted_keys": {"rk_test_narrow": frozenset({"event"})}})
    sandbox.state.put_account(restricted)
    with pytest.raises(PermissionDeniedError, match=r"Give the key the permission rak_event_read\.$"):
        next(connect("rk_test_narrow").changes([Entity.PRICES], since=0))


@pytest.mark.parametrize(
    "body",
    [b'{"error": {"message": "Unrecognized request URL", "type": "invalid_request_error"}}', b"<html>404</html>"],
)
def test_a_missing_address_is_no_missing_object_and_says_what_to_check(
    body: bytes, server: HeaderServer, connect: Connect
) -> None:
    server.answer_with(Answer(404, body))
    client, remedy = connect(base_url=server.url), r"Check that the configuration's base_url leads to Stripe's API\.$"
    with pytest.raises(ProviderError, match=f"There is no address for listing provider events: .*{remedy}"):
        next(client.changes([Entity.PRICES], since=0))
    with pytest.raises(ProviderError, match=f"There is no address for reading price_1 of prices: .*{remedy}"):
        client.fetch(Change(Entity.PRICES, "price_1", 1.0))


def test_an_unknown_cursor_is_told_apart(sandbox: SandboxServer, connect: Connect) -> None:
    with pytest.raises(CursorLostError, match="no longer knows where to go on with listing customers"):
        connect().list_page(Entity.CUSTOMERS, interval=Interval(), cursor="cus_nobody", limit=3)


def test_a_page_that_keeps_arriving_cut_off_is_asked_for_smaller(
    sandbox: SandboxServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "ATTEMPTS_AT_ONE_SIZE", 1)
    fail(sandbox, FaultKind.CUT_JSON, limit_over=10)
    client = connect()
    for _page in range(2):
        page = client.list_page(Entity.CUSTOMERS, interval=Interval(), cursor=None, limit=40)
        assert len(page.objects) == 10
    limits = [limit_of(seen.query) for seen in sandbox.state.counters.recent]
    assert limits == [40, 20, 10, 10]
    fail(sandbox, FaultKind.CUT_JSON)
    with pytest.raises(UnreadableBodyError, match="cut off or garbled"):
        client.list_page(Entity.CUSTOMERS, interval=Interval(), cursor=None, limit=40)


def limit_of(query: str) -> int:
    (limit,) = parse_qs(query)["limit"]
    return int(limit)


def test_pages_grow_again_when_they_no_longer_arrive_cut_off(
    sandbox: SandboxServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "ATTEMPTS_AT_ONE_SIZE", 1)
    fail(sandbox, FaultKind.CUT_JSON, times=2)
    client = connect()
    for _page in range(12):
        client.list_page(Entity.CUSTOMERS, interval=Interval(), cursor=None, limit=40)
    client.list_page(Entity.PRODUCTS, interval=Interval(), cursor=None, limit=40)
    limits = [limit_of(seen.query) for seen in sandbox.state.counters.recent]
    assert limits == [40, 20, *[10] * 5, *[20] * 5, *[40] * 2, 40]


class Remembering(Unlimited):
    """No limits, but turns that remember what they heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, LimitMet]] = []

    def turn(self, endpoint: str, /, *, is_write: bool = False) -> Turn:
        turn = super().turn(endpoint, is_write=is_write)
        turn.refused = lambda met: self.heard.append((endpoint, met))  # type: ignore[method-assign]
        return turn


@pytest.mark.parametrize(
    ("reason", "met"),
    [
        ("global-rate", LimitMet(LimitScope.ACCOUNT, 0.6)),
        ("endpoint-rate", LimitMet(LimitScope.ENDPOINT, 0.6)),
        ("global-concurrency", LimitMet(LimitScope.ACCOUNT, 0.6, of_concurrency=True)),
        ("endpoint-concurrency", LimitMet(LimitScope.ENDPOINT, 0.6, of_concurrency=True)),
        ("resource-specific", LimitMet(LimitScope.OBJECT)),
        ("something-new", LimitMet(LimitScope.ENDPOINT, 0.6)),
    ],
)
def test_retry_after_is_waited_for_and_passed_on(
    reason: str, met: LimitMet, sandbox: SandboxServer, connect: Connect
) -> None:
    fail(sandbox, FaultKind.RATE_LIMIT, times=1, retry_after=0.6, reason=reason)
    limits, notes = Remembering(), list[RequestNote]()
    connect(on_retry=notes.append, limits=limits).check_readable(Entity.PRODUCTS)
    assert [note.wait for note in notes] == [0.6]
    assert limits.heard == [("products", met)]


@pytest.mark.parametrize(
    ("header", "wait"),
    [("1e9", LONGEST_RETRY_AFTER), ("inf", LONGEST_RETRY_AFTER), ("nan", 0.5), ("-5", 0.5), ("soon", 0.5)],
)
def test_an_absurd_retry_after_does_not_stop_a_sync_for_ever(
    header: str, wait: float, server: HeaderServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange.Exchange, "_sleep", lambda _self, _seconds: None)
    server.answer_with(Answer(503, headers={"Retry-After": header}))
    notes: list[RequestNote] = []
    with pytest.raises(ProviderUnavailableError):
        connect(base_url=server.url, on_retry=notes.append, attempts=2).account()
    assert wait / 2 <= notes[0].wait <= wait


def test_a_cancellation_is_noticed_before_a_request_and_while_waiting(sandbox: SandboxServer, connect: Connect) -> None:
    with pytest.raises(RequestAbandonedError):
        connect(is_cancelled=lambda: True).account()
    assert sandbox.state.counters.total == 0
    fail(sandbox, FaultKind.RATE_LIMIT, retry_after=600)
    cancelled = threading.Event()
    repeated = list[RequestNote]()
    client = connect(on_retry=lambda _note: cancelled.set(), on_repeat=repeated.append, is_cancelled=cancelled.is_set)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.account)
        with pytest.raises(RequestAbandonedError):
            waiting.result(timeout=120)
    assert sandbox.state.counters.total == 1
    assert repeated == [], "it was not made again"


def test_a_server_that_is_not_there_is_named(connect: Connect) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(ProviderUnavailableError, match=r"^Reading the account failed: 127\.0\.0\.1:\d+ refuses"):
            connect(base_url=url, attempts=1).account()
