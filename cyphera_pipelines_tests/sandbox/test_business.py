"""What a generated business does, whichever provider it bills through."""

from collections import defaultdict
from itertools import pairwise

from cyphera_pipelines.sandbox.business.bills import Bills
from cyphera_pipelines.sandbox.business.business import Business
from cyphera_pipelines.sandbox.business.subscriptions import Subscriptions, quantity
from cyphera_pipelines.sandbox.business.world import World

SIZES = {"seed": 5, "customers": 300, "products": 10, "prices": 60, "subscriptions": 120, "invoices": 3_200}


def bills_of(business: Business) -> Bills:
    world = World(business)
    return Bills(world, Subscriptions(world))


def test_regular_bills_are_for_one_period_after_another() -> None:
    business = Business(**SIZES, regular_bills=True)  # type: ignore[arg-type]
    bills, periods = bills_of(business), defaultdict[int, set[tuple[int, int]]](set)
    for number in range(business.invoices):
        bill = bills.bill(number)
        subscription = bill.facts.subscription
        if subscription is None:
            continue
        assert bill.facts.status not in ("void", "draft")
        subscribed = bills.subscriptions.facts(subscription)
        items = bill.lines[: len(subscribed.price_numbers)]
        assert [line.price_number for line in items] == list(subscribed.price_numbers)
        assert [line.quantity for line in items] == [quantity(subscription, at) for at in range(len(items))]
        periods[subscription].add(bills.period(bill))
    assert set(periods) == set(range(business.subscriptions))
    followed = [(before, after) for each in periods.values() for before, after in pairwise(sorted(each))]
    assert len(followed) > 5 * business.subscriptions
    # Bills come an hour sooner or later: where that is just when a period ends, one has two and the next one none.
    assert sum(before[1] != after[0] for before, after in followed) < len(followed) // 50


def test_other_bills_are_for_periods_of_their_subscriptions_too() -> None:
    bills = bills_of(Business(**SIZES))  # type: ignore[arg-type]
    for number in range(300):
        bill = bills.bill(number)
        start, end = bills.period(bill)
        if bill.facts.subscription is None:
            assert end == bill.created
        else:
            began = bills.subscriptions.schedule(bill.facts.subscription).created
            length = end - start
            assert (start - began) % length == 0
            assert start <= max(bill.created, began) < end
