"""Lists inside objects, of which the provider embeds the beginning only, fetched whole over real HTTP."""

from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import Interval, Page, ProviderError
from cyphera_pipelines.providers.stripe.nested import unfinished_lists
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines_tests.providers.conftest import ACCOUNT, Connect, Json
from cyphera_pipelines_tests.providers.header_server import Answer, HeaderServer

NESTED = {Entity.INVOICES: "lines", Entity.SUBSCRIPTIONS: "items"}


def listed(connect: Connect, entity: Entity) -> Page:
    return connect().list_page(entity, interval=Interval(), cursor=None, limit=100)


def truth(sandbox: SandboxServer, entity: Entity) -> dict[str, Json]:
    return {each["id"]: each for each in sandbox.state.truth(ACCOUNT.account_id, entity.value)}


@pytest.mark.parametrize("entity", NESTED)
def test_lists_are_completed_in_the_provider_s_order(entity: Entity, sandbox: SandboxServer, connect: Connect) -> None:
    page = listed(connect, entity)
    unfinished = [nested.object_id for obj in page.objects for nested in unfinished_lists(entity, obj)]
    assert unfinished, "there is something to do"
    requests = connect().complete(page)
    assert requests >= len(unfinished)
    assert sandbox.state.counters.total == 1 + requests
    whole = truth(sandbox, entity)
    for obj in page.objects:
        nested = obj[NESTED[entity]]
        assert nested["data"] == whole[obj["id"]][NESTED[entity]]["data"]
        assert nested["has_more"] is False
        assert not list(unfinished_lists(entity, obj))


def test_what_is_whole_needs_no_request(sandbox: SandboxServer, connect: Connect) -> None:
    for entity in (Entity.CUSTOMERS, Entity.PRODUCTS, Entity.PRICES):
        page = listed(connect, entity)
        sandbox.state.counters.reset()
        assert connect().complete(page) == 0
        assert sandbox.state.counters.total == 0


def test_an_invoice_that_vanishes_meanwhile_leaves_the_page(sandbox: SandboxServer, connect: Connect) -> None:
    page = listed(connect, Entity.INVOICES)
    unfinished = [obj["id"] for obj in page.objects if list(unfinished_lists(Entity.INVOICES, obj))]
    others = {obj["id"] for obj in page.objects} - {unfinished[0]}
    sandbox.state.delete(ACCOUNT.account_id, unfinished[0])
    connect().complete(page)
    assert {obj["id"] for obj in page.objects} == others


@pytest.mark.parametrize("entity", NESTED)
def test_a_list_whose_last_embedded_item_vanished_is_listed_from_its_beginning(
    entity: Entity, sandbox: SandboxServer, connect: Connect
) -> None:
    page, whole = listed(connect, entity), truth(sandbox, entity)
    page.objects = [obj for obj in page.objects if list(unfinished_lists(entity, obj))][:1]
    (obj,) = page.objects
    obj[NESTED[entity]]["data"][-1]["id"] = "vanished"
    assert connect().complete(page) >= 2
    assert page.objects == [obj]
    assert obj[NESTED[entity]]["data"] == whole[obj["id"]][NESTED[entity]]["data"]
    assert sandbox.state.counters.recent[-1].status == 200


def test_a_list_that_keeps_changing_is_left_to_the_next_sync(connect: Connect) -> None:
    """Whatever item the next page is to start after, it is gone."""
    lost = Answer(400, b'{"error": {"code": "resource_missing", "param": "starting_after", "message": "No such item"}}')
    begun = Answer(body=b'{"data": [{"id": "il_1"}], "has_more": true}')
    invoice = {"id": "in_1", "lines": {"data": [{"id": "il_0"}], "has_more": True}}
    page = Page(Entity.INVOICES, [invoice], has_more=False, version=0.0)
    with HeaderServer() as server:
        server.answer_with(lambda asked: lost if "starting_after" in asked.path else begun)
        connect(base_url=server.url).complete(page)
        starts = [asked.path.partition("starting_after=")[2] for asked in server.asked]
    assert starts == ["il_0", "", "il_1", "", "il_1", "", "il_1"]
    assert page.objects == []
    assert [each.reason for each in page.incomplete] == [
        "Listing the lines of invoice in_1 failed: the list kept changing. The next sync tries again."
    ]


def test_an_empty_beginning_is_asked_for_from_the_start(sandbox: SandboxServer, connect: Connect) -> None:
    whole = max(truth(sandbox, Entity.INVOICES).values(), key=lambda invoice: len(invoice["lines"]["data"]))
    beginnings: tuple[list[Json] | None, ...] = ([], None)
    for nothing in beginnings:
        beginning = {**whole, "lines": {"object": "list", "data": nothing, "has_more": True}}
        page = Page(Entity.INVOICES, [beginning], has_more=False, version=0.0)
        connect().complete(page)
        assert page.objects[0]["lines"]["data"] == whole["lines"]["data"]


@pytest.mark.parametrize("items", [[{}], [None], [{"id": "il_1"}, {"id": 5}], "text"])
def test_a_beginning_without_an_id_to_go_on_from_is_reported(items: object, connect: Connect) -> None:
    odd = {"id": "in_odd", "created": 1, "lines": {"data": items, "has_more": True}}
    page = Page(Entity.INVOICES, [odd], has_more=False, version=0.0)
    client = connect()
    assert client.complete(page) == 0
    mapped = client.map_page(page)
    assert [each.id for each in mapped.unmappable] == ["in_odd"]


def test_more_pages_without_an_id_to_go_on_from_are_an_error(connect: Connect) -> None:
    with HeaderServer() as server:
        for data in (b"[]", b"[{}]", b'[{"id": ""}]', b"[null]"):
            server.answer_with(Answer(body=b'{"data": %b, "has_more": true}' % data))
            with pytest.raises(ProviderError, match="listing customers has more pages, but nothing on this one has"):
                connect(base_url=server.url).list_page(Entity.CUSTOMERS, interval=Interval(), cursor=None, limit=1)


def test_a_list_that_is_none_is_an_error_that_names_the_operation(sandbox: SandboxServer, connect: Connect) -> None:
    client = connect(base_url=f"{sandbox.url}/v1/account?")
    with pytest.raises(ProviderError, match=r"^Stripe's answer to listing invoices is not a list\.$"):
        client.list_page(Entity.INVOICES, interval=Interval(), cursor=None, limit=1)


def tiered_price() -> Json:
    options = {"usd": {"unit_amount": None}, "eur": {"unit_amount": None}, "gbp": {"unit_amount": None}}
    tiered = {"id": "price_1", "object": "price", "created": 1, "billing_scheme": "tiered", "currency": "usd"}
    return {**tiered, "tiers": [{"up_to": None}], "currency_options": options}


def test_tiers_in_other_currencies_are_asked_for_by_their_names(connect: Connect) -> None:
    told = {"eur": {"tiers": [{"up_to": None, "unit_amount": 5}]}, "gbp": {}, "usd": None}
    page = Page(Entity.PRICES, [tiered_price()], has_more=False, version=0.0)
    with HeaderServer() as server:
        server.answer_with(Answer(body=orjson.dumps({"id": "price_1", "currency_options": told})))
        assert connect(base_url=server.url).complete(page) == 1
        (asked,) = server.asked
    assert parse_qs(urlsplit(asked.path).query)["expand[]"] == [
        "currency_options",
        "currency_options.eur.tiers",
        "currency_options.gbp.tiers",
    ]
    options = page.objects[0]["currency_options"]
    assert options == {**tiered_price()["currency_options"], "eur": {"unit_amount": None, **told["eur"]}}  # type: ignore[dict-item]


def test_who_refuses_to_tell_such_tiers_leaves_the_price_whole_without_them(connect: Connect) -> None:
    page = Page(Entity.PRICES, [tiered_price()], has_more=False, version=0.0)
    with HeaderServer() as server:
        refusal = {"error": {"type": "invalid_request_error", "message": "This property cannot be expanded."}}
        server.answer_with(Answer(status=400, body=orjson.dumps(refusal)))
        assert connect(base_url=server.url, attempts=1).complete(page) == 1
    assert (page.objects, page.incomplete) == ([tiered_price()], [])
