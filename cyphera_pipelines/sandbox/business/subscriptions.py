"""Who subscribes to what, on which terms."""

from functools import lru_cache
from typing import NamedTuple

from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.business.offers import group_of, has_options, pick_price
from cyphera_pipelines.sandbox.business.timeline import DAY, MONTH
from cyphera_pipelines.sandbox.business.world import CACHED_CORES, World

_FEWEST_ITEMS_OF_A_LARGE_ONE = 11

_STATUSES = (
    ("active", 60), ("canceled", 16), ("trialing", 8), ("past_due", 5), ("unpaid", 3), ("incomplete_expired", 4),
    ("paused", 3), ("incomplete", 1),
)  # fmt: skip
_STATUS_OF_PERCENT = tuple(status for status, share in _STATUSES for _ in range(share))
_GROUPS = (
    ("usd", "month"), ("usd", "month"), ("usd", "month"), ("usd", "month"), ("eur", "month"), ("gbp", "month"),
    ("jpy", "month"), ("usd", "year"), ("eur", "year"),
)  # fmt: skip


class Subscription(NamedTuple):
    """What is known of a subscription without its times. `status` is Stripe's word, the finest there is."""

    number: int
    customer: int
    status: str
    group: tuple[str, str | None]
    price_numbers: tuple[int, ...]
    currency: str
    """Lower case: that of all its prices, or one that all of them have as an option."""


class Schedule(NamedTuple):
    """When things happen to a subscription (Unix seconds), and the dice to go on with.

    `period` is the current one, or the last one of a subscription that has `ended`.
    """

    created: int
    ended: int | None
    period: tuple[int, int]
    is_trial: bool
    cancels_at_period_end: bool
    canceled_at: int | None
    by_invoice: bool
    dice: Dice


def quantity(number: int, position: int) -> int:
    """Return how many units of the price at a position a subscription has."""
    return (number + position) % 7 + 1


class Subscriptions:
    """The subscriptions of one business."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.facts = lru_cache(maxsize=CACHED_CORES)(self._facts)

    def _facts(self, number: int) -> Subscription:
        world = self.world
        dice = world.dice("subscriptions", number)
        ceiling = world.not_newer("subscriptions", number, "prices", dice)
        wanted = dice.pick(_GROUPS)
        if dice.chance(world.business.large_subscription_share):
            count = dice.between(_FEWEST_ITEMS_OF_A_LARGE_ONE, 25)
        else:
            count = dice.pick((1, 1, 1, 1, 1, 2, 2, 3))
        first = pick_price(world, wanted, ceiling, dice)
        group = group_of(first)
        others = [pick_price(world, group, ceiling, dice) for _ in range(count - 1)]
        return Subscription(
            number,
            world.not_newer("subscriptions", number, "customers", dice),
            _STATUS_OF_PERCENT[dice.below(100)],
            group,
            (first, *others),
            self._currency(number, group[0], (first, *others)),
        )

    def _currency(self, number: int, own: str, price_numbers: tuple[int, ...]) -> str:
        world = self.world
        may_be_another = all(has_options(world, price_number) for price_number in price_numbers)
        share = world.business.foreign_currency_share
        return "eur" if may_be_another and world.dice("billed in", number).chance(share) else own

    def first_invoice(self, number: int) -> int | None:
        """Return the number of the invoice that is fixed to be a subscription's own (the rest draw theirs)."""
        invoices, subscriptions = self.world.sizes["invoices"], self.world.sizes["subscriptions"]
        if not invoices or number >= subscriptions:
            return None
        first = -(-number * invoices // subscriptions)
        return first if first < invoices and first * subscriptions // invoices == number else None

    def period_at(self, number: int, second: int) -> tuple[int, int]:
        """Return the billing period of a subscription that a moment is in; the first one for what is before it."""
        created = self.world.created_at("subscriptions", number)
        length = 365 * DAY if self.facts(number).group[1] == "year" else MONTH
        start = created + max(second - created, 0) // length * length
        return start, start + length

    def schedule(self, number: int) -> Schedule:
        """Return when things happen to a subscription."""
        world, facts = self.world, self.facts(number)
        dice = world.dice("subscription details", number)
        created = world.created_at("subscriptions", number)
        now = max(world.business.newest_created, created)
        ended = None
        if facts.status in ("canceled", "incomplete_expired"):
            ended = min(now, created + (DAY if facts.status == "incomplete_expired" else dice.between(5, 400) * DAY))
        moment = ended if ended is not None else now
        period = self.period_at(number, moment)
        cancels = facts.status == "active" and dice.chance(0.05)
        canceled_at = ended if facts.status == "canceled" else (created + 60 if cancels else None)
        by_invoice = dice.chance(0.15)
        return Schedule(created, ended, period, facts.status == "trialing", cancels, canceled_at, by_invoice, dice)
