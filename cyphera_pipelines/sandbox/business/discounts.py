"""What makes subscriptions, their items and customers cheaper than their prices: coupons, and where they are applied.

`discount_share` of the subscriptions have a percentage off for ever; `coupon_share` of them have whatever else there
is, and `customer_discount_share` of the customers. At any provider they are the same discounts, in the same order.
"""

from calendar import monthrange
from datetime import UTC, datetime
from fractions import Fraction
from typing import Literal, NamedTuple

from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.business.offers import product_of_price
from cyphera_pipelines.sandbox.business.subscriptions import Subscriptions
from cyphera_pipelines.sandbox.business.timeline import DAY
from cyphera_pipelines.sandbox.business.world import World

Duration = Literal["once", "repeating", "forever"]
_PERCENTS_OFF = (10, 10, 20, 25, 50, 100)
_AMOUNTS_OFF = {"usd": 500, "eur": 400, "gbp": 350, "jpy": 700}
_LIMITED_PRODUCTS = 3


class Coupon(NamedTuple):
    """The terms of a discount: a percentage, or an amount in the smallest unit of a currency.

    `id` is the business's own name for it, the same at any provider. `products` are the numbers of the products that it
    is limited to; none where it is for all.
    """

    id: str
    name: str
    percent_off: str | None
    """In decimal digits, as in `12.5`."""
    amount_off: int | None = None
    currency: str | None = None
    """Lower case."""
    duration: Duration = "forever"
    duration_in_months: int | None = None
    products: tuple[int, ...] = ()

    def of(self, amount: int) -> int:
        """What a percentage takes off an amount, rounded down; of a negative one, what it gives back less."""
        return amount * Fraction(self.percent_off or 0) // 100


class Discount(NamedTuple):
    """A coupon applied to a subscription, to one of its items, or to a customer.

    It is there from `start` until before `end`, in Unix seconds. `item` is the position of the item that it is on.
    """

    code: str
    """Twenty hexadecimal digits."""
    coupon: Coupon
    start: int
    end: int | None = None
    item: int | None = None

    def is_on_bill_of(self, second: int) -> bool:
        """Whether a bill of that moment is made cheaper by it. What applies once waits for the bill that is next."""
        if self.coupon.duration == "forever":
            return True
        return self.end is not None and self.start <= second < self.end


def percentage(percent_off: int) -> Coupon:
    """The coupon that takes a percentage off for ever."""
    return Coupon(f"OFF{percent_off}", f"{percent_off} % off", str(percent_off))


_WELCOME = Coupon("WELCOME15", "15 % off the first bill", "15", duration="once")
_EIGHTH = Coupon("EIGHTH12", "12.5 % off for a year", "12.5", duration="repeating", duration_in_months=12)
_HALF = Coupon("HALF3", "Half price for three months", "50", duration="repeating", duration_in_months=3)


def coupons(world: World) -> tuple[Coupon, ...]:
    """All coupons that the business has, whether or not anybody uses them."""
    amounts = [
        _amount(currency, duration) for currency in _AMOUNTS_OFF for duration in ("forever", "repeating", "once")
    ]
    limited = [_limited(product) for product in range(min(_LIMITED_PRODUCTS, world.sizes["products"]))]
    percentages = [percentage(percent) for percent in sorted(set(_PERCENTS_OFF))]
    return (*percentages, _WELCOME, _EIGHTH, _HALF, *amounts, *limited)


def discount_of(world: World, subscription: int | None) -> Discount | None:
    """The percentage that a subscription has off for ever, if it has one."""
    if subscription is None or not world.business.discount_share:
        return None
    dice = world.dice("discount", subscription)
    if not dice.chance(world.business.discount_share):
        return None
    return Discount(dice.hexadecimal(20), percentage(dice.pick(_PERCENTS_OFF)), 0)


def discounts_of(subscriptions: Subscriptions, number: int) -> tuple[Discount, ...]:
    """All discounts on a subscription and on its items that are there now (or were when it ended), first ones first.

    What applies once is there until the next bill, so that no bill that exists was made cheaper by it.
    """
    world, found = subscriptions.world, list[Discount]()
    schedule = subscriptions.schedule(number)
    forever = discount_of(world, number)
    if forever is not None:
        found.append(forever._replace(start=schedule.created))
    if not world.business.coupon_share:
        return tuple(found)
    dice = world.dice("coupons", number)
    if not dice.chance(world.business.coupon_share):
        return tuple(found)
    facts = subscriptions.facts(number)
    now = schedule.ended if schedule.ended is not None else max(world.business.newest_created, schedule.created)
    amount, item = _amount(facts.currency, "forever"), dice.below(len(facts.price_numbers))
    chosen: list[tuple[Coupon, int | None]] = dice.pick(
        (
            [(amount, None)],
            [(_EIGHTH, None)],
            [(_WELCOME, None)],
            [(_amount(facts.currency, "once"), None)],
            [(_amount(facts.currency, "repeating"), None)],
            [(percentage(20), None), (amount, None)],
            [(amount, None), (percentage(20), None)],
            [(_HALF, item)],
            [(percentage(25), item), (percentage(10), None)],
            [(_amount(facts.currency, "forever"), item)],
            [(_limited(product_of_price(world, facts.price_numbers[0]) % _LIMITED_PRODUCTS), None)],
        )
    )
    found += [_applied(coupon, at, schedule.created, now, dice) for coupon, at in chosen]
    return tuple(found)


def customer_discount_of(world: World, customer: int) -> Discount | None:
    """The discount of a customer: it makes cheaper what has no discount of its own."""
    if not world.business.customer_discount_share:
        return None
    dice = world.dice("customer discount", customer)
    if not dice.chance(world.business.customer_discount_share):
        return None
    created = world.created_at("customers", customer)
    coupon = dice.pick((percentage(10), percentage(50), _HALF))
    return _applied(coupon, None, created, max(world.business.newest_created, created), dice)


def welcome_discount_of(world: World, subscription: int, second: int) -> tuple[Discount, ...]:
    """What made the first bill of a subscription cheaper, and no other: it is not on the subscription any more."""
    if not world.business.coupon_share:
        return ()
    dice = world.dice("welcome", subscription)
    is_welcome = dice.chance(world.business.coupon_share)
    return (Discount(dice.hexadecimal(20), _WELCOME, second),) if is_welcome else ()


def _applied(coupon: Coupon, item: int | None, created: int, now: int, dice: Dice) -> Discount:
    """From the beginning for ever; or from lately on, so that it has not come to its end yet."""
    code = dice.hexadecimal(20)
    if coupon.duration == "forever":
        return Discount(code, coupon, created, item=item)
    months = coupon.duration_in_months or 1
    start = max(created, now - dice.below(months * 28 * DAY))
    end = None if coupon.duration_in_months is None else months_after(start, months)
    return Discount(code, coupon, start, end, item)


def months_after(second: int, months: int) -> int:
    """The same time of the same day so many months later, or of that month's last day."""
    moment = datetime.fromtimestamp(second, UTC)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return int(moment.replace(year=year, month=month + 1, day=day).timestamp())


def _amount(currency: str, duration: Duration) -> Coupon:
    off, months = _AMOUNTS_OFF[currency], 6 if duration == "repeating" else None
    name = {"forever": "every bill", "repeating": "six months of bills", "once": "the next bill"}[duration]
    coupon_id = f"LESS{off}{currency.upper()}{'' if duration == 'forever' else f'-{duration.upper()}'}"
    return Coupon(
        coupon_id, f"{off} {currency.upper()} (smallest unit) off {name}", None, off, currency, duration, months
    )


def _limited(product: int) -> Coupon:
    return Coupon(f"ONLY{product}", "30 % off one product", "30", products=(product,))
