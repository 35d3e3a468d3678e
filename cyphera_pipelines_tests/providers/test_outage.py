"""The provider is gone for everybody: requests do not each spend all their attempts on finding that out."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import ObjectGoneError, ProviderUnavailableError, RequestNote
from cyphera_pipelines.providers.http import exchange
from cyphera_pipelines.providers.stripe.client import StripeAccountClient
from cyphera_pipelines_tests.providers.conftest import Connect
from cyphera_pipelines_tests.providers.header_server import Answer, Asked, HeaderServer

ATTEMPTS = 5
GONE = Answer(404, b'{"error": {"code": "resource_missing", "param": "id", "message": "No such account"}}')


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange.Exchange, "_sleep", lambda _self, _seconds: None)


@pytest.fixture
def server() -> Iterator[HeaderServer]:
    with HeaderServer() as running:
        yield running


def answer_in_turn(server: HeaderServer, *answers: Answer | None) -> None:
    """Give each answer once."""
    left = iter(answers)
    server.answer_with(lambda _asked: next(left))


def give_up(client: StripeAccountClient, server: HeaderServer) -> int:
    """Ask a provider that is out of order. Return how often the one request was made."""
    server.answer_with(Answer(503))
    before = len(server.asked)
    with pytest.raises(ProviderUnavailableError):
        client.check_readable(Entity.CUSTOMERS)
    return len(server.asked) - before


@pytest.mark.parametrize("answer", [Answer(503), None], ids=["error", "no answer"])
def test_when_one_request_was_given_up_the_others_end_at_their_next_failure(
    answer: Answer | None, server: HeaderServer, connect: Connect
) -> None:
    server.answer_with(lambda _asked: answer)
    client, at_once, requests = connect(base_url=server.url, attempts=ATTEMPTS), 4, 40

    def ask(_number: int) -> None:
        with pytest.raises(ProviderUnavailableError):
            client.check_readable(Entity.CUSTOMERS)

    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(ask, range(requests)))
    assert len(server.asked) <= at_once * ATTEMPTS + (requests - at_once)


@pytest.mark.parametrize("answer", [Answer(body=b'{"id": "acct_1"}'), GONE], ids=["success", "refusal"])
def test_any_answer_makes_requests_patient_again(answer: Answer, server: HeaderServer, connect: Connect) -> None:
    client = connect(base_url=server.url, attempts=ATTEMPTS)
    assert [give_up(client, server) for _ in range(2)] == [ATTEMPTS, 1]
    server.answer_with(answer)
    if answer is GONE:
        with pytest.raises(ObjectGoneError):
            client.account()
    else:
        client.account()
    answer_in_turn(server, *[Answer(503)] * (ATTEMPTS - 1), Answer())
    client.check_readable(Entity.CUSTOMERS)


def test_rate_limits_and_cut_off_bodies_are_tried_again_all_the_same(server: HeaderServer, connect: Connect) -> None:
    client = connect(base_url=server.url, attempts=ATTEMPTS)
    give_up(client, server)
    answer_in_turn(server, *[Answer(429)] * 9, *[Answer(body=b"{")] * 3, Answer())
    client.check_readable(Entity.CUSTOMERS)


def test_one_endpoint_out_of_order_does_not_make_the_others_impatient(server: HeaderServer, connect: Connect) -> None:
    products = iter([Answer(500)] * (ATTEMPTS - 1))

    def answer(asked: Asked) -> Answer:
        if asked.path.startswith("/v1/invoices"):
            return Answer(500)
        return next(products, Answer()) if asked.path.startswith("/v1/products") else Answer()

    def list_customers_meanwhile(note: RequestNote) -> None:
        if note.operation == "listing invoices":
            client.check_readable(Entity.CUSTOMERS)

    server.answer_with(answer)
    client = connect(base_url=server.url, attempts=ATTEMPTS, on_retry=list_customers_meanwhile)
    with pytest.raises(ProviderUnavailableError):
        client.check_readable(Entity.INVOICES)
    client.check_readable(Entity.PRODUCTS)
    assert len([asked for asked in server.asked if asked.path.startswith("/v1/products")]) == ATTEMPTS
