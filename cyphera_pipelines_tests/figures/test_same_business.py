"""One business that bills through Stripe, and the same one through Chargebee, have the same MRR, to the cent."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from sqlalchemy import text

from cyphera_pipelines.figures.build import build_figures
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import ChargebeeSite, SandboxAccount
from cyphera_pipelines.sandbox.business.discounts import customer_discount_of, discounts_of
from cyphera_pipelines.sandbox.business.subscriptions import Subscriptions
from cyphera_pipelines.sandbox.chargebee.generate.ids import customer_id
from cyphera_pipelines.sandbox.chargebee.generate.subscriptions import subscription_id
from cyphera_pipelines.sandbox.stripe.generate.world import StripeWorld
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.figures.synced import synced

BUSINESS: dict[str, Any] = {
    "seed": 29,
    "customers": 250,
    "products": 12,
    "prices": 60,
    "subscriptions": 400,
    "invoices": 700,
    "discount_share": 0.2,
    "coupon_share": 0.4,
    "customer_discount_share": 0.2,
    "tiered_options": True,
    # Both clocks go on from here: what ends, or begins, does so at both.
    "newest_created": int(datetime.now(UTC).timestamp()),
}
STRIPE = SandboxAccount(api_key="sk_test_samebusiness", account_id="acct_samebusiness", **BUSINESS)
# Nobody is gone, and bills say of no tax that prices contain it: Stripe's bills of the business do not either.
CHARGEBEE = ChargebeeSite(
    site="samebusiness-test", api_key="test_samebusiness", deleted_share=0, inclusive_share=0, **BUSINESS
)
SAID_OTHERWISE = {
    ("unpaid", "ended"): "Chargebee cancels what is not paid in the end",
    ("incomplete", "not_started"): "it waits for no first payment: what does not run yet is in the future",
    ("trialing", "not_started"): "and so may a trial be",
    ("pause_collection", None): "it cannot go on serving while it collects nothing: who serves, bills",
}
"""By why an item counts nothing at each of the two, where the words differ; for the last reason alone the MRR does."""


class Item(NamedTuple):
    """What a subscription's items that count, or that do not for one reason, bring."""

    customer: int
    currency: str
    mrr: int
    left_out_by: str | None


@pytest.fixture(scope="module")
def both(database: Database, keyring: Keyring, add_source: Callable[..., Source]) -> "Both":
    """Present items by the numbers of their subscriptions, at Stripe and at Chargebee."""
    world = StripeWorld(STRIPE)
    at_stripe = _counted(
        synced(STRIPE, database, keyring, add_source),
        database,
        {world.subscription_id(number): number for number in range(STRIPE.subscriptions)},
        {world.customer_id(number): number for number in range(STRIPE.customers)},
    )
    at_chargebee = _counted(
        synced(CHARGEBEE, database, keyring, add_source),
        database,
        {subscription_id(CHARGEBEE, number): number for number in range(CHARGEBEE.subscriptions)},
        {customer_id(CHARGEBEE, number): number for number in range(CHARGEBEE.customers)},
    )
    return at_stripe, at_chargebee


def _counted(
    source: Source, database: Database, subscriptions: Mapping[str, int], customers: Mapping[str, int]
) -> dict[int, list[Item]]:
    build_figures(database, source, livemode=False)
    found = defaultdict(list)
    with database.tenant(source.workspace_id) as connection:
        for row in connection.execute(_PRESENT):
            item = Item(customers[row.customer_id], row.currency, int(row.mrr), row.left_out_by)
            found[subscriptions[row.subscription_id]].append(item)
    return dict(found)


Both = tuple[dict[int, list[Item]], dict[int, list[Item]]]


def test_each_subscription(both: Both) -> None:
    at_stripe, at_chargebee = both
    assert set(at_stripe) == set(at_chargebee) == set(range(STRIPE.subscriptions))
    reasons, differing = set(), {}
    for number, items in at_stripe.items():
        others = at_chargebee[number]
        if items != others:
            (reason,) = {(item.left_out_by, other.left_out_by) for item, other in zip(items, others, strict=True)}
            reasons.add(reason)
            if [item[:3] for item in items] != [other[:3] for other in others]:
                differing[number] = reason
    assert reasons == set(SAID_OTHERWISE)
    assert set(differing.values()) == {_PAUSED}
    assert len(differing) < len(at_stripe) // 50


def test_each_customer_and_all_of_them(both: Both) -> None:
    """Without what the one collects no money for while the other has no such thing."""
    paused = {number for number, items in both[0].items() if items[0].left_out_by == _PAUSED[0]}
    by_customer, in_all = ([_sums(account, key, paused) for account in both] for key in (_CUSTOMER, _CURRENCY))
    assert by_customer[0] == by_customer[1]
    assert len(by_customer[0]) > 100
    assert in_all[0] == in_all[1]
    assert {currency for (currency,) in in_all[0]} == {"usd", "eur", "gbp", "jpy"}


def test_the_business_has_what_makes_it_hard(both: Both) -> None:
    subscriptions = Subscriptions(StripeWorld(STRIPE))
    counting = [number for number, items in both[0].items() if sum(item.mrr for item in items)]
    discounted = [discounts_of(subscriptions, number) for number in counting]
    durations = {discount.coupon.duration for found in discounted for discount in found}
    assert durations == {"forever", "repeating", "once"}
    assert any(discount.item is not None for found in discounted for discount in found)
    assert any(discount.coupon.products for found in discounted for discount in found)
    customers = [subscriptions.facts(number).customer for number in counting]
    assert any(customer_discount_of(subscriptions.world, customer) is not None for customer in customers)
    assert {subscriptions.facts(number).group[1] for number in counting} == {"month", "year"}
    left_out_by = {item.left_out_by for items in both[0].values() for item in items}
    assert {"trialing", "ended", "paused", "metered", "unpaid", "incomplete"} <= left_out_by


_CUSTOMER, _CURRENCY = ("customer", "currency"), ("currency",)
_PAUSED = ("pause_collection", None)


def _sums(account: Mapping[int, list[Item]], key: tuple[str, ...], without: set[int]) -> dict[tuple[Any, ...], int]:
    sums: dict[tuple[Any, ...], int] = defaultdict(int)
    for number, items in account.items():
        for item in items if number not in without else ():
            sums[tuple(getattr(item, name) for name in key)] += item.mrr
    return {of: mrr for of, mrr in sums.items() if mrr}


_PRESENT = text(
    """
    SELECT subscription_id, customer_id, currency, left_out_by, sum(mrr) AS mrr FROM figures.subscription_mrr
    WHERE valid_to IS NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    """
)
