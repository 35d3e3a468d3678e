"""What a business bills, and what becomes of it."""

from functools import lru_cache, partial
from typing import NamedTuple

from cyphera_pipelines.sandbox.business import adjustments
from cyphera_pipelines.sandbox.business.adjustments import Proration, Settlement
from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.business.discounts import (
    Discount,
    customer_discount_of,
    discounts_of,
    welcome_discount_of,
)
from cyphera_pipelines.sandbox.business.offers import offer, pick_price
from cyphera_pipelines.sandbox.business.reductions import reductions
from cyphera_pipelines.sandbox.business.subscriptions import Subscriptions
from cyphera_pipelines.sandbox.business.subscriptions import quantity as quantity_of
from cyphera_pipelines.sandbox.business.timeline import MONTH
from cyphera_pipelines.sandbox.business.world import CACHED_CORES, World

_STATUSES = (("paid", 80), ("open", 8), ("void", 4), ("uncollectible", 4), ("draft", 4))
_STATUS_OF_PERCENT = tuple(status for status, share in _STATUSES for _ in range(share))
_FEWEST_LINES_OF_A_LONG_ONE = 11
MOST_LINES = 250
_QUANTITIES = (1, 1, 1, 2, 3, 5, 10)


class BillFacts(NamedTuple):
    """What is known of a bill without adding it up, and the dice to go on with. `status` is Stripe's word."""

    status: str
    customer: int
    subscription: int | None
    collection_method: str
    line_count: int
    dice: Dice


class BillLine(NamedTuple):
    """So many units of a price. Amounts in the currency's smallest unit.

    `reductions` are what each of the bill's discounts takes off, in their order.
    """

    price_number: int
    quantity: int
    amount: int
    reductions: tuple[int, ...]
    correction: Proration | None

    @property
    def off(self) -> int:
        """What all discounts take off."""
        return sum(self.reductions)


class Bill(NamedTuple):
    """A bill added up, and the dice to go on with. `paid` is how much of it was, `remaining` what is left to pay.

    `finalized` and `settled` are Unix seconds: when it was sent, and when what its status says had come about.
    """

    facts: BillFacts
    created: int
    currency: str
    lines: list[BillLine]
    discounts: tuple[Discount, ...]
    subtotal: int
    discounted: int
    tax: int
    total: int
    settlement: Settlement
    paid: int
    remaining: int
    finalized: int | None
    settled: int | None
    dice: Dice

    @property
    def reductions(self) -> tuple[int, ...]:
        """What each discount takes off the whole bill, in their order."""
        return tuple(sum(line.reductions[at] for line in self.lines) for at in range(len(self.discounts)))


class Bills:
    """The bills of one business."""

    def __init__(self, world: World, subscriptions: Subscriptions) -> None:
        self.world = world
        self.subscriptions = subscriptions
        self._offer = lru_cache(maxsize=CACHED_CORES)(partial(offer, world))
        self._discounts_of = lru_cache(maxsize=CACHED_CORES)(partial(discounts_of, subscriptions))

    def facts(self, number: int) -> BillFacts:
        """Return what filters ask for."""
        world = self.world
        dice = world.dice("invoices", number)
        status = _STATUS_OF_PERCENT[dice.below(100)]
        collection_method = "send_invoice" if dice.chance(0.15) else "charge_automatically"
        if dice.chance(world.business.long_invoice_share):
            line_count = dice.between(_FEWEST_LINES_OF_A_LONG_ONE, MOST_LINES)
        else:
            line_count = dice.pick((1, 1, 1, 1, 2, 2, 3))
        subscriptions, invoices = world.sizes["subscriptions"], world.sizes["invoices"]
        subscription: int | None = number * subscriptions // invoices if invoices and number < invoices else None
        is_first = subscription is not None and self.subscriptions.first_invoice(subscription) == number
        is_regular = world.business.regular_bills and number < invoices
        if is_regular and not is_first:
            subscription = self._due(number)
        elif not is_first:
            draws = subscriptions and not dice.chance(0.1)
            subscription = world.not_newer("invoices", number, "subscriptions", dice) if draws else None
        if subscription is not None:
            subscribed = self.subscriptions.facts(subscription)
            if is_regular:
                status = "paid" if status in ("void", "draft") else status
                line_count = max(line_count, len(subscribed.price_numbers))
            return BillFacts(status, subscribed.customer, subscription, collection_method, line_count, dice)
        customer = world.not_newer("invoices", number, "customers", dice)
        return BillFacts(status, customer, None, collection_method, line_count, dice)

    def _due(self, number: int) -> int | None:
        """Return the subscription whose turn it is, if one is left in the month of a bill that is no first one.

        The months are counted back from the newest object. Whoever subscribed before one has a turn in it, in order.
        """
        world = self.world
        subscriptions, invoices = world.sizes["subscriptions"], world.sizes["invoices"]
        created, newest = world.created_at("invoices", number), world.business.newest_created
        month_began = newest - ((newest - created) // MONTH + 1) * MONTH
        earliest = world.timelines["invoices"].first_at_or_after(month_began + 1)

        def first_ones_before(other: int) -> int:
            return (other - 1) * subscriptions // invoices + 1 if other and subscriptions else 0

        turn = number - earliest - (first_ones_before(number) - first_ones_before(earliest))
        if turn >= first_ones_before(earliest):
            return None
        ended = self.subscriptions.schedule(turn).ended
        is_new_period = created - self.subscriptions.period_at(turn, created)[0] < MONTH
        return turn if is_new_period and (ended is None or created < ended) else None

    def _price_numbers(self, facts: BillFacts) -> tuple[int, ...]:
        if facts.subscription is not None:
            return self.subscriptions.facts(facts.subscription).price_numbers
        one_time = facts.dice.pick((("usd", None), ("eur", None)))
        return (pick_price(self.world, one_time, self.world.sizes["prices"], facts.dice),)

    def _discounts(self, number: int, facts: BillFacts, created: int) -> tuple[Discount, ...]:
        """What makes the bill cheaper: a customer's discount only where the subscription has none of its own."""
        found = list[Discount]()
        if facts.subscription is not None:
            found += [each for each in self._discounts_of(facts.subscription) if each.is_on_bill_of(created)]
            if self.subscriptions.first_invoice(facts.subscription) == number:
                found += welcome_discount_of(self.world, facts.subscription, created)
        if all(each.item is not None for each in found):
            of_customer = customer_discount_of(self.world, facts.customer)
            found += [each for each in (of_customer,) if each is not None and each.is_on_bill_of(created)]
        return tuple(found)

    def period(self, bill: Bill) -> tuple[int, int]:
        """Return what time the lines of a bill are for: its subscription's billing period, or else the month before."""
        if bill.facts.subscription is None:
            return bill.created - MONTH, bill.created
        return self.subscriptions.period_at(bill.facts.subscription, bill.created)

    def bill(self, number: int) -> Bill:
        """Return bill `number`, added up."""
        world, facts = self.world, self.facts(number)
        dice = facts.dice
        created = world.created_at("invoices", number)
        status = facts.status
        price_numbers = self._price_numbers(facts)
        billed_in = None if facts.subscription is None else self.subscriptions.facts(facts.subscription).currency
        proration = adjustments.proration_of(world, number, facts.subscription)
        first_quantity = dice.below(len(_QUANTITIES))
        # What comes to less than nothing is not made cheaper.
        is_credit = proration is not None and proration.exceeds
        discounts = () if is_credit else self._discounts(number, facts, created)
        subtotal = 0
        lines: list[BillLine] = []
        currency = "usd"
        for position in range(facts.line_count + (proration is not None)):
            price_number = price_numbers[position % len(price_numbers)]
            price = self._offer(price_number, billed_in)
            quantity = _QUANTITIES[(first_quantity + position) % len(_QUANTITIES)]
            if facts.subscription is not None and position < len(price_numbers):
                quantity = quantity_of(facts.subscription, position)
            currency = price.currency
            amount = price.unit_amount * quantity
            correction = proration if position == facts.line_count else None
            if correction is not None:
                amount = adjustments.unused_time(correction, price.unit_amount, subtotal)
            subtotal += amount
            lines.append(BillLine(price_number, quantity, amount, (), correction))
        discounted = 0
        if discounts:
            prices, amounts = [line.price_number for line in lines], [line.amount for line in lines]
            items = 0 if facts.subscription is None else min(len(price_numbers), facts.line_count)
            taken = reductions(world, discounts, prices, amounts, items)
            lines = [line._replace(reductions=off) for line, off in zip(lines, taken, strict=True)]
            discounted = sum(line.off for line in lines)
        taxable = subtotal - discounted
        tax = taxable * 19 // 100 if dice.chance(0.2) and taxable > 0 else 0
        settlement = adjustments.settlement_of(world, number, taxable + tax, status)
        due = settlement.amount_due
        paid = due if status == "paid" else (due // 4 if status == "open" and dice.chance(0.1) else 0)
        latest = max(world.business.newest_created, created)
        finalized = None if status == "draft" else min(created + 3_600, latest)
        return Bill(
            facts=facts,
            created=created,
            currency=currency,
            lines=lines,
            discounts=discounts,
            subtotal=subtotal,
            discounted=discounted,
            tax=tax,
            total=taxable + tax,
            settlement=settlement,
            paid=paid,
            remaining=0 if status in ("paid", "void") else due - paid,
            finalized=finalized,
            settled=None if finalized is None else min(finalized + dice.between(1, 20) * 3_600, latest),
            dice=dice,
        )
