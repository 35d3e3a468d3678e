"""Answers that are kept are those that would be made anew."""

from typing import Any

import orjson

from cyphera_pipelines.sandbox.stripe.answers import answer
from cyphera_pipelines.sandbox.stripe.dataset import Dataset
from cyphera_pipelines.sandbox.stripe.endpoints import find_endpoint
from cyphera_pipelines_tests.sandbox.conftest import small_account


def listed(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """The newest hundred customers by their id, with their discounts' coupons."""
    endpoint = find_endpoint("GET", "/v1/customers")
    assert endpoint is not None
    body = answer(dataset, endpoint, "limit=100&expand[]=data.discount.source.coupon")
    return {customer["id"]: customer for customer in orjson.loads(body)["data"]}


def test_what_is_expanded_follows_every_change() -> None:
    dataset = Dataset(small_account(coupon_share=0.6, customer_discount_share=0.6))
    before = listed(dataset)
    assert listed(dataset) == before
    discounted = next(customer for customer in before.values() if customer["discount"])
    coupon = discounted["discount"]["source"]["coupon"]
    dataset.kept["coupons"].put({**coupon, "name": "Renamed"})
    after = listed(dataset)
    assert after[discounted["id"]]["discount"]["source"]["coupon"]["name"] == "Renamed"
    dataset.kept["coupons"].delete(coupon["id"])
    assert listed(dataset)[discounted["id"]]["discount"]["source"]["coupon"]["valid"] is False
    customers = dataset.collections["customers"]
    number = customers.number_of(discounted["id"])
    assert number is not None
    customers.put(number, {**customers.whole(number), "name": "Somebody else"})
    assert listed(dataset)[discounted["id"]]["name"] == "Somebody else"
    customers.delete(number, discounted["id"])
    assert discounted["id"] not in listed(dataset)
