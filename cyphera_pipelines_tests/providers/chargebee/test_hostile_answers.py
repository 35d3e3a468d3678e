"""Answers that take for ever, have no end, or are none: each is given up in time, and named."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import (
    Change,
    CustomerRequest,
    Interval,
    Page,
    ProviderError,
    ProviderUnavailableError,
    RequestAbandonedError,
    Unknown,
)
from cyphera_pipelines.providers.base.options import ClientOptions
from cyphera_pipelines.providers.chargebee.operations.account import ChargebeeOperations
from cyphera_pipelines.providers.http import exchange
from cyphera_pipelines.providers.http.failures import AnswerTooLargeError
from cyphera_pipelines_tests.hostile import Misbehaviour, Wire, misbehaviour
from cyphera_pipelines_tests.hostile.odd_values import ODD_VALUES, paths_in, replaced
from cyphera_pipelines_tests.providers.chargebee.conftest import Connect, credentials_of
from cyphera_pipelines_tests.providers.chargebee.sample_objects import SAMPLE
from cyphera_pipelines_tests.providers.chargebee.site import Site, customer, event
from cyphera_pipelines_tests.receiver import wait_for

DEADLINE_SECONDS = 120.0
LATE = {
    "no-answer": misbehaviour.never_answers(),
    "slow-head": misbehaviour.slow_head(),
    "announced-for-ever": misbehaviour.continues_for_ever(),
    "slow-body": misbehaviour.slow_body(),
}
EVERYTHING = Interval()


@pytest.mark.parametrize("how", LATE.values(), ids=LATE)
def test_an_answer_that_takes_for_ever_is_given_up(
    how: Misbehaviour, site: Site, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LONGEST_WAIT", 0.02)
    site.misbehave("*/configurations", how)
    with pytest.raises(ProviderUnavailableError, match=r"^Reading the site failed: .* gave no whole answer in time"):
        connect(answer_within=0.8).account()
    # The server may read the last of them after it was given up.
    wait_for(lambda: len(site.asked) == exchange.ATTEMPTS_TOO_LATE)
    site.behave()
    assert connect().account().id == "acme-test"


@pytest.mark.parametrize("how", LATE.values(), ids=LATE)
def test_a_cancellation_breaks_off_whatever_is_waited_for(how: Misbehaviour, site: Site, connect: Connect) -> None:
    asked, cancelled = threading.Event(), threading.Event()

    def tell(wire: Wire) -> None:
        asked.set()
        how(wire)

    site.misbehave("*/configurations", tell)
    client = connect(is_cancelled=cancelled.is_set)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.account)
        assert asked.wait(DEADLINE_SECONDS)
        cancelled.set()
        with pytest.raises(RequestAbandonedError):
            waiting.result(DEADLINE_SECONDS)


@pytest.mark.parametrize("how", [misbehaviour.endless_body(), misbehaviour.gzip_bomb(64)], ids=["endless", "gzip"])
def test_an_answer_without_end_is_not_read(how: Misbehaviour, site: Site, connect: Connect) -> None:
    site.misbehave("*/configurations", how)
    with pytest.raises(AnswerTooLargeError, match="Chargebee's answer to reading the site is larger than 8 MiB"):
        connect(attempts=1).account()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (misbehaviour.html(), "leads to Chargebee's API"),
        (misbehaviour.json_value([1]), "is JSON, but no object"),
        (misbehaviour.json_value({"list": 7}), "is not a list"),
        (misbehaviour.json_value({"list": [], "next_offset": 7}), "does not tell plainly where the list goes on"),
        (misbehaviour.json_value({"list": [], "next_offset": "x" * 1_001}), "does not tell plainly"),
        (misbehaviour.redirects(), "redirects listing customers"),
    ],
)
def test_what_is_no_page_is_an_error(how: Misbehaviour, says: str, site: Site, connect: Connect) -> None:
    site.misbehave("*/customers", how)
    with pytest.raises(ProviderError, match=says):
        connect(attempts=1).list_page(Entity.CUSTOMERS, interval=EVERYTHING, cursor=None, limit=10)


def test_pages_that_arrive_cut_off_are_asked_for_in_smaller_ones(site: Site, connect: Connect) -> None:
    site.objects["customers"] = [customer(number) for number in range(40)]

    def cut_off_if_large(wire: Wire) -> None:
        body = site.account.as_body(wire.honest)
        wire.answer(body if int(wire.asked.first("limit") or 0) <= 10 else body[:-20])

    site.misbehave("*/customers", cut_off_if_large)
    client, cursor, ids = connect(attempts=2), None, list[str]()
    while True:
        page = client.list_page(Entity.CUSTOMERS, interval=EVERYTHING, cursor=cursor, limit=40)
        ids += [obj["id"] for obj in page.objects]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(ids) == len(set(ids)) == 40


def test_a_clock_that_is_off_orders_nothing(site: Site, connect: Connect) -> None:
    site.objects["customers"] = [customer(1)]
    site.misbehave("*", misbehaviour.dated(10**6))
    page = connect().list_page(Entity.CUSTOMERS, interval=EVERYTHING, cursor=None, limit=10)
    assert page.version <= time.time()


def test_another_object_than_the_one_that_was_asked_for_is_none(site: Site, connect: Connect) -> None:
    for value in ({"customer": customer(2)}, {"customer": None}, {"item": customer(1)}, {}):
        site.misbehave("*/customers/*", misbehaviour.json_value(value))
        with pytest.raises(ProviderError, match="is not that object"):
            connect().fetch(Change(Entity.CUSTOMERS, "customer 1/1", 1.0))


def test_a_write_without_an_answer_is_unknown(site: Site) -> None:
    operations = ChargebeeOperations(credentials_of(site), ClientOptions(answer_within=0.8))
    write = operations.customers.create_customer(CustomerRequest(name="Ada"))  # type: ignore[union-attr]
    for how in (misbehaviour.never_answers(), misbehaviour.slow_body(), misbehaviour.html(502), misbehaviour.html()):
        site.misbehave("*/customers", how)
        assert isinstance(operations.perform(write, "key"), Unknown)
    operations.close()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(odd=ODD_VALUES)
def test_odd_objects_pass_through_a_client(connect: Connect, odd: Any) -> None:
    """No request is made: whatever stands in an object or an event, nothing but an error of ours comes of it."""
    client = connect()
    for entity, objects in SAMPLE.items():
        for place in paths_in(objects[0]):
            obj = replaced(objects[0], place, odd)
            assert client.listed(entity, obj) is not None
            told = client.map_page(Page(entity, [obj], has_more=False, version=5.0))
            assert len(told.objects) + len(told.unmappable) == 1
            if isinstance(obj, dict):
                client.changes_of([event(1, "x", customer=obj)])
    for place in paths_in(event(1, "customer_changed", customer=customer(1))):
        client.changes_of([replaced(event(1, "customer_changed", customer=customer(1)), place, odd)])
