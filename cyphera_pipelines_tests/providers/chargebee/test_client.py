"""Listing a site, fetching from it, and what its errors mean."""

import time
from email.utils import formatdate

import orjson
import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import (
    AccountNotOpenError,
    Change,
    CredentialsRejectedError,
    CursorLostError,
    EndlessListError,
    Interval,
    LimitScope,
    ObjectGoneError,
    Page,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitRemainsError,
    RefusedRequestError,
)
from cyphera_pipelines.providers.chargebee import errors
from cyphera_pipelines.providers.chargebee.errors import refuse
from cyphera_pipelines.providers.chargebee.transport import encoded, object_path
from cyphera_pipelines.providers.http.answers import Answer
from cyphera_pipelines_tests.hostile import misbehaviour
from cyphera_pipelines_tests.providers.chargebee.conftest import Connect
from cyphera_pipelines_tests.providers.chargebee.site import MARCH, Site, customer, refusal

EVERYTHING = Interval()


def list_all(connect: Connect, entity: Entity, interval: Interval = EVERYTHING, limit: int = 100) -> list[str]:
    client, cursor, ids = connect(), None, list[str]()
    while True:
        page = client.list_page(entity, interval=interval, cursor=cursor, limit=limit)
        ids += [obj["id"] for obj in page.objects]
        cursor = page.next_cursor
        assert page.has_more is (cursor is not None)
        if cursor is None:
            return ids


def test_customers_come_newest_first_and_each_once(site: Site, connect: Connect) -> None:
    site.objects["customers"] = [customer(number) for number in range(25)]
    assert list_all(connect, Entity.CUSTOMERS, limit=10) == [f"customer {number}/1" for number in reversed(range(25))]
    listed = [each for each in site.asked if each.path.endswith("/customers")]
    assert [each.first("sort_by[desc]") for each in listed] == ["created_at"] * 3
    assert not any("updated_at" in name for each in listed for name in each.query)


def test_an_interval_holds_its_first_second_and_not_its_last(site: Site, connect: Connect) -> None:
    site.objects["customers"] = [customer(number) for number in range(5)]
    within = Interval(gte=MARCH + 60, lt=MARCH + 180)
    assert list_all(connect, Entity.CUSTOMERS, within) == ["customer 2/1", "customer 1/1"]


def test_bounds_that_prove_inclusive_list_nothing_twice(site: Site, connect: Connect) -> None:
    objects = [{"customer": customer(number)} for number in range(4)]
    site.misbehave("*/customers", misbehaviour.json_value({"list": objects}))
    within = Interval(gte=MARCH + 60, lt=MARCH + 180)
    assert list_all(connect, Entity.CUSTOMERS, within) == ["customer 1/1", "customer 2/1"]


def test_items_are_listed_by_id_without_bounds(site: Site, connect: Connect) -> None:
    site.objects["items"] = [{"id": name, "object": "item"} for name in "cab"]
    assert list_all(connect, Entity.PRODUCTS, limit=2) == ["a", "b", "c"]


def test_deleted_customers_are_not_listed(site: Site, connect: Connect) -> None:
    site.objects["customers"] = [customer(1), customer(2, deleted=True)]
    assert list_all(connect, Entity.CUSTOMERS) == ["customer 1/1"]


def test_ids_stand_encoded_in_paths(site: Site, connect: Connect) -> None:
    site.objects["customers"] = [customer(1)]
    page = connect().fetch(Change(Entity.CUSTOMERS, "customer 1/1", 5.0))
    assert [obj["id"] for obj in page.objects] == ["customer 1/1"]
    assert object_path("customers", "a b/c@d#e") == "/customers/a%20b%2Fc%40d%23e"


def test_what_is_gone_or_deleted_is_an_empty_page(site: Site, connect: Connect) -> None:
    site.objects["customers"] = [customer(1, deleted=True)]
    for object_id in ("customer 1/1", "never there"):
        page = connect().fetch(Change(Entity.CUSTOMERS, object_id, 5.0))
        assert (page.objects, page.has_more) == ([], False)
        assert page.version >= 5.0


def test_lines_beyond_the_first_are_read(site: Site, connect: Connect) -> None:
    invoice = {"id": "7", "date": MARCH, "line_items": [{"id": "li_1"}], "line_items_next_offset": "[1]"}
    rest = {"id": "7", "line_items": [{"id": "li_2"}], "line_item_taxes": [{"line_item_id": "li_2", "tax_amount": 1}]}
    site.misbehave("*/invoices/7", misbehaviour.json_value({"invoice": rest}))
    page = Page(Entity.INVOICES, [invoice], has_more=False, version=1.0)
    assert connect().complete(page) == 1
    (complete,) = page.objects
    assert [line["id"] for line in complete["line_items"]] == ["li_1", "li_2"]
    assert complete["line_item_taxes"] == rest["line_item_taxes"]
    assert "line_items_next_offset" not in complete
    assert site.asked[-1].query == {"line_items_limit": ["300"], "line_items_offset": ["[1]"]}


def test_lines_that_have_no_end_leave_the_page(site: Site, connect: Connect) -> None:
    again = {"id": "7", "line_items": [{"id": "li_1"}], "line_items_next_offset": "[1]"}
    site.misbehave("*/invoices/7", misbehaviour.json_value({"invoice": again}))
    page = Page(Entity.INVOICES, [dict(again)], has_more=False, version=1.0)
    connect().complete(page)
    assert page.objects == []
    assert [obj.id for obj in page.incomplete] == ["7"]


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        ({"product_catalog_version": "v1"}, "has Product Catalog 1.0"),
        ({"product_catalog_version": "v2", "chargebee_response_schema_type": "compat"}, "has both product catalogs"),
        ({"domain": "other-test", "product_catalog_version": "v2"}, "opens the site other-test, not acme-test"),
    ],
)
def test_another_catalog_or_site_is_an_error_and_never_an_empty_list(
    configuration: dict[str, str], says: str, site: Site, connect: Connect
) -> None:
    site.configuration = configuration
    with pytest.raises(AccountNotOpenError, match=says):
        connect().account()
    with pytest.raises(AccountNotOpenError, match=says):
        connect().list_page(Entity.PRODUCTS, interval=EVERYTHING, cursor=None, limit=10)


def test_a_key_that_may_not_read_the_configuration_lists_all_the_same(site: Site, connect: Connect) -> None:
    site.misbehave("*/configurations", misbehaviour.json_value(refusal(403, "api_authorization_failed")[1], 403))
    assert list_all(connect, Entity.PRODUCTS) == []
    site.misbehave("*/items", misbehaviour.json_value(refusal(400, "configuration_incompatible")[1], 400))
    with pytest.raises(AccountNotOpenError, match="Product Catalog"):
        list_all(connect, Entity.PRODUCTS)


def test_the_account_is_the_site(connect: Connect, site: Site) -> None:
    account = connect().account()
    assert (account.id, account.livemode) == ("acme-test", False)
    site.configuration["domain"] = "acme"
    assert connect("acme").account().livemode is True


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "api_authentication_failed", CredentialsRejectedError),
        (403, "api_authorization_failed", PermissionDeniedError),
        (404, "site_not_found", AccountNotOpenError),
        (404, "resource_not_found", ObjectGoneError),
        (400, "param_wrong_value", RefusedRequestError),
        (409, "invalid_state_for_request", RefusedRequestError),
        (503, "site_read_only_mode", ProviderUnavailableError),
        (500, "internal_error", ProviderUnavailableError),
    ],
)
def test_errors_are_of_our_kinds(
    status: int, code: str, kind: type[ProviderError], site: Site, connect: Connect
) -> None:
    site.misbehave("*/customers", misbehaviour.json_value(refusal(status, code)[1], status))
    with pytest.raises(kind) as raised:
        connect(attempts=1).check_readable(Entity.CUSTOMERS)
    assert type(raised.value) is kind
    assert "test_key_of_acme" not in str(raised.value)


def test_a_page_for_people_is_tried_again(site: Site, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    site.misbehave("*/customers", misbehaviour.html(502), times=2)
    connect().check_readable(Entity.CUSTOMERS)
    assert len(site.asked) == 3
    site.misbehave("*/customers", misbehaviour.html(404))
    with pytest.raises(ProviderError, match="There is no address for listing customers") as raised:
        connect().check_readable(Entity.CUSTOMERS)
    assert not isinstance(raised.value, ObjectGoneError)


def test_a_forged_offset_is_a_lost_cursor(connect: Connect) -> None:
    with pytest.raises(CursorLostError):
        connect().list_page(Entity.CUSTOMERS, interval=EVERYTHING, cursor='["forged"]', limit=10)


def test_a_page_that_follows_itself_is_an_endless_list(site: Site, connect: Connect) -> None:
    site.misbehave("*/customers", misbehaviour.json_value({"list": [], "next_offset": "[1]"}))
    with pytest.raises(EndlessListError):
        connect().list_page(Entity.CUSTOMERS, interval=EVERYTHING, cursor="[1]", limit=10)


def test_requests_are_not_repeated_before_the_minute_is_over() -> None:
    def met(headers: dict[str, str], **more: str) -> tuple[LimitScope, float, bool]:
        body = encoded_json(refusal(429, "api_request_limit_exceeded", **more)[1])
        failure = refuse(Answer(429, headers, body), "listing customers")
        assert isinstance(failure.error, RateLimitRemainsError)
        assert failure.limit_met is not None
        return failure.limit_met.scope, failure.limit_met.pause, failure.limit_met.of_concurrency

    before = time.time()
    scope, pause, _ = met({})
    assert scope is LimitScope.ACCOUNT
    assert 0 < pause <= 60
    assert (before + pause) % 60 == pytest.approx(0, abs=5) or (before + pause) % 60 == pytest.approx(60, abs=5)
    assert met({"Retry-After": "7"})[1] == 7
    assert met({"Retry-After": formatdate(time.time() + 100, usegmt=True)})[1] == pytest.approx(100, abs=30)
    assert met({"Retry-After": "soon"})[1] <= 60
    assert met({}, message="Too many concurrent requests")[2] is True


def test_a_rate_limit_is_waited_out(site: Site, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "MINUTE", 0.2)
    told = encoded_json(refusal(429, "api_request_limit_exceeded")[1])
    site.misbehave("*/customers", misbehaviour.body(told, status=429), times=3)
    connect().check_readable(Entity.CUSTOMERS)
    assert len(site.asked) == 4


def test_parameters_are_written_as_chargebee_reads_them() -> None:
    given = {
        "email": "a&b",
        "auto_close_invoices": True,
        "company": None,
        "billing_address": {"line1": "Street 1"},
        "subscription_items": {"item_price_id": ["a", "b"], "quantity": [1, 2]},
        "meta_data": {"plan": "gold"},
    }
    assert encoded(given).split("&") == [
        "email=a%26b",
        "auto_close_invoices=true",
        "company=",
        "billing_address%5Bline1%5D=Street+1",
        "subscription_items%5Bitem_price_id%5D%5B0%5D=a",
        "subscription_items%5Bitem_price_id%5D%5B1%5D=b",
        "subscription_items%5Bquantity%5D%5B0%5D=1",
        "subscription_items%5Bquantity%5D%5B1%5D=2",
        "meta_data=%7B%22plan%22%3A%22gold%22%7D",
    ]


def encoded_json(value: object) -> bytes:
    return orjson.dumps(value)
