"""What coupons take off, and how few requests tell it."""

from typing import Any

from hypothesis import HealthCheck, given, settings

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.synced_tables import SUBSCRIPTION_DISCOUNTS
from cyphera_pipelines.providers.base import Notice, Page
from cyphera_pipelines.providers.chargebee.client import ChargebeeClient
from cyphera_pipelines.providers.chargebee.coupons import FEW, MOST_ASKED_FOR
from cyphera_pipelines_tests.hostile import misbehaviour
from cyphera_pipelines_tests.hostile.odd_values import ODD_VALUES, paths_in, replaced
from cyphera_pipelines_tests.providers.chargebee.conftest import Connect
from cyphera_pipelines_tests.providers.chargebee.site import MARCH, Json, Site, coupon, refusal


def subscription(number: int, *coupons: str) -> Json:
    return {
        "id": f"s{number}",
        "customer_id": "c",
        "status": "active",
        "currency_code": "EUR",
        "created_at": MARCH,
        "resource_version": MARCH * 1000,
        "coupons": [{"coupon_id": each} for each in coupons],
        "subscription_items": [],
        "object": "subscription",
    }


def kinds(client: ChargebeeClient, *subscriptions: Json) -> tuple[int, list[Any]]:
    """The requests made to complete a page of these, and the kind of each discount on it."""
    page = Page(Entity.SUBSCRIPTIONS, list(subscriptions), has_more=False, version=1.0)
    requests = client.complete(page)
    mapped = client.map_page(page)
    assert (mapped.unmappable, mapped.incomplete) == ([], [])
    at = [column.name for column in SUBSCRIPTION_DISCOUNTS.columns].index("kind")
    return requests, [row.values[at] for obj in mapped.objects for row in obj.children[SUBSCRIPTION_DISCOUNTS.name]]


def asked(site: Site) -> list[str]:
    return [each.path.removeprefix("/api/v2/") for each in site.asked if "coupons" in each.path]


def test_subscriptions_without_coupons_ask_for_none(site: Site, connect: Connect) -> None:
    assert kinds(connect(), subscription(1), subscription(2)) == (0, [])
    assert site.asked == []


def test_a_few_are_read_by_their_ids_each_once(site: Site, connect: Connect) -> None:
    site.objects["coupons"] = [coupon("a b/c"), coupon("fixed", discount_type="fixed_amount")]
    client = connect()
    assert kinds(client, subscription(1, "a b/c", "fixed"), subscription(2, "fixed")) == (
        2,
        ["amount", "percent", "amount"],
    )
    assert kinds(client, subscription(3, "fixed")) == (0, ["amount"])
    assert sorted(asked(site)) == ["coupons/a b/c", "coupons/fixed"]


def test_many_are_listed_once_and_only_what_no_list_shows_is_read_by_its_id(site: Site, connect: Connect) -> None:
    site.objects["coupons"] = [coupon(f"c{number}") for number in range(150)]
    client, names = connect(), [f"c{number}" for number in range(FEW + 1)]
    assert kinds(client, *(subscription(at, name) for at, name in enumerate(names))) == (2, ["percent"] * (FEW + 1))
    assert asked(site) == ["coupons", "coupons"]
    site.objects["coupons"].append(coupon("new"))
    assert kinds(client, subscription(7, "c149", "new")) == (1, ["percent", "percent"])
    assert asked(site)[2:] == ["coupons/new"]


def test_a_site_that_shows_no_deleted_ones_is_listed_without_them(site: Site, connect: Connect) -> None:
    site.objects["coupons"] = [coupon(f"c{number}") for number in range(FEW + 1)]
    refused = misbehaviour.json_value(refusal(400, "param_wrong_value", param="status")[1], 400)
    site.misbehave("*/coupons", refused, times=1)
    requests, found = kinds(connect(), subscription(1, *(f"c{number}" for number in range(FEW + 1))))
    assert (requests, found) == (2, ["percent"] * (FEW + 1))


def test_coupons_that_are_gone_or_forbidden_stop_nothing_and_are_told_once(site: Site, connect: Connect) -> None:
    notices = list[Notice]()
    client = connect(on_notice=notices.append)
    assert kinds(client, subscription(1, "gone"), subscription(2, "gone")) == (1, [None, None])
    assert kinds(client, subscription(3, "gone")) == (0, [None])
    assert [notice.details for notice in notices] == [{"coupons": ["gone"]}]
    assert "what they take off is not known: gone." in notices[0].message
    notices.clear()
    site.misbehave("*/coupons/*", misbehaviour.json_value(refusal(403, "api_authorization_failed")[1], 403))
    forbidden = connect(on_notice=notices.append)
    assert kinds(forbidden, subscription(1, "a", "b"))[1] == [None, None]
    assert kinds(forbidden, subscription(2, "c"))[1] == [None]
    assert [notice.kind for notice in notices] == ["coupons_not_known"]
    assert notices[0].message.startswith("The key may not read coupons: what they take off is not known.")


def test_a_coupon_of_its_own_on_every_subscription_makes_no_request_for_each(site: Site, connect: Connect) -> None:
    names = [f"lost{number}" for number in range(MOST_ASKED_FOR + 50)]
    requests, found = kinds(connect(), *(subscription(at, name) for at, name in enumerate(names)))
    assert found == [None] * len(names)
    assert requests == len(asked(site)) == MOST_ASKED_FOR + 1


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(odd=ODD_VALUES)
def test_odd_coupons_are_the_trouble_of_those_alone_who_have_them(site: Site, connect: Connect, odd: Any) -> None:
    limited = coupon("odd", apply_on="each_specified_item", item_constraints=CONSTRAINTS)
    for place in paths_in(limited):
        site.objects["coupons"] = [replaced(limited, place, odd), coupon("even")]
        page = Page(Entity.SUBSCRIPTIONS, [with_items("odd"), with_items("even"), with_items()], False, 1.0)
        client = connect()
        client.complete(page)
        mapped = client.map_page(page)
        assert mapped.incomplete == []
        assert len(mapped.objects) + len(mapped.unmappable) == 3
        assert [obj.id for obj in mapped.objects][-2:] == ["even", "none"]
        client.close()


CONSTRAINTS = [
    {"item_type": "plan", "constraint": "specific", "item_price_ids": ["basic-EUR"]},
    {"item_type": "addon", "constraint": "none"},
]


def with_items(coupon_id: str | None = None) -> Json:
    """A subscription with an item, named as its coupon is."""
    of_coupon = () if coupon_id is None else (coupon_id,)
    item = {"item_price_id": "basic-EUR", "item_type": "plan", "quantity": 1, "unit_price": 1000, "amount": 1000}
    return subscription(1, *of_coupon) | {"id": coupon_id or "none", "subscription_items": [item]}
