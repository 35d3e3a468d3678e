"""Accounts at random: every interval, way of pricing, discount, status and currency, and states that come late."""

import random
from datetime import datetime, timedelta
from typing import Any

from cyphera_pipelines_tests.figures.account import Account, amount, item, on, percent, price, seconds

CURRENCIES = ("usd", "eur", "gbp", "brl", "jpy", "kwd")
INTERVALS = ("day", "week", "month", "year")
STATUSES = ("active", "active", "active", "past_due", "unpaid", "paused", "trialing", "incomplete")
SINCE, UNTIL = on(1, year=2024), on(7)


def add_customers(account: Account, dice: random.Random, customers: range, *, lined_share: float = 0.3) -> None:
    """Add these customers with one to three subscriptions each. The account is written when it is flushed."""
    for number in customers:
        customer = f"cus_{number}"
        currency = dice.choice(CURRENCIES)
        if dice.random() < 0.15:
            moments = sorted(_moment(dice) for _ in range(dice.randint(1, 2)))
            for moment in moments:
                account.customer_state(_discounts(dice, currency, 1), moment, customer=customer)
        for place in range(dice.choice((1, 1, 2, 3))):
            _add_subscription(account, dice, customer, f"sub_{number}_{place}", currency, lined_share)


def _add_subscription(
    account: Account, dice: random.Random, customer: str, name: str, currency: str, lined_share: float
) -> None:
    began = _moment(dice)
    held = began if dice.random() < 0.6 else began + timedelta(days=dice.randint(2, 200))
    items = [_item(dice, f"si_{name}_{number}", currency) for number in range(dice.choice((1, 1, 1, 2, 3)))]
    told: dict[str, Any] = {"customer_id": customer, "start_date": began, "currency": currency, "status": "active"}
    told["discounts"] = _discounts(dice, currency, 2, [each["id"] for each in items])
    told["tax_rates"] = _tax_rates(dice, items)
    if dice.random() < 0.2:
        told |= {"status": "trialing", "trial_end": began + timedelta(days=14)}
        held = min(held, began + timedelta(days=10))
    if held > began and dice.random() < lined_share:
        _add_bills(account, dice, name, items, began, held)
    for _ in range(dice.choice((1, 1, 2, 3, 5))):
        account.state(items, held, sub=name, **told)
        if told["status"] == "canceled":
            break
        held += timedelta(days=dice.randint(1, 90), seconds=dice.randint(0, 86_400))
        items, told = _changed(dice, items, told, held, currency)


def _changed(
    dice: random.Random, items: list[dict[str, Any]], told: dict[str, Any], held: datetime, currency: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    kind = dice.choice(("quantity", "price", "status", "status", "discount", "canceled", "pause", "item", "cancel_at"))
    told = dict(told)
    if kind == "quantity":
        items = [each | {"quantity": dice.randint(0, 40)} for each in items]
    elif kind == "price":
        items = [_item(dice, each["id"], currency) for each in items]
    elif kind == "status":
        told["status"] = dice.choice(STATUSES)
    elif kind == "discount":
        told["discounts"] = _discounts(dice, currency, 3, [each["id"] for each in items])
    elif kind == "canceled":
        # Learned late: up to a month after it happened.
        ended = max(told["start_date"], held - timedelta(days=dice.choice((0, 0, 5, 30))))
        told |= {"status": "canceled", "ended_at": ended, "canceled_at": ended}
    elif kind == "pause":
        told["pause_collection_behavior"] = dice.choice(("void", "keep_as_draft", None))
        told["pause_collection_resumes_at"] = held + timedelta(days=20) if dice.random() < 0.5 else None
    elif kind == "item":
        items = [*items[1:], _item(dice, f"{items[0]['id']}x", currency)]
    else:
        told["cancel_at"] = held + timedelta(days=dice.randint(1, 400))
    return items, told


def _add_bills(
    account: Account, dice: random.Random, name: str, items: list[dict[str, Any]], began: datetime, held: datetime
) -> None:
    """Whole months of bills of the items with monthly prices, which amount to one unit's price or to something else."""
    for each in items:
        of = each["price"]
        if (
            of["recurring_interval"] != "month"
            or of["recurring_interval_count"] != 1
            or of["recurring_usage_type"] != "licensed"
        ):
            continue
        start = began
        while start < held:
            end = start + timedelta(days=30)
            if dice.random() < 0.9:
                account.line(
                    dice.randint(1, 3) * 1_000, start, end, sub=name, of=each["id"], quantity=dice.randint(1, 5),
                    price_id=each["price_id"], currency=each["currency"], price=of,
                )  # fmt: skip
            start = end


def _item(dice: random.Random, item_id: str, currency: str) -> dict[str, Any]:
    interval, n = dice.choice(INTERVALS), dice.choice((1, 1, 2, 3, 6))
    terms: dict[str, Any] = {"interval": interval, "n": n, "currency": currency}
    way = dice.choice(("unit", "unit", "fraction", "graduated", "volume", "package", "metered"))
    if way == "unit":
        terms["unit_amount"] = dice.randint(0, 200_000)
    elif way == "fraction":
        terms["unit_amount"] = f"{dice.randint(0, 300)}.{dice.randint(1, 10**12 - 1):012d}"
    elif way in ("graduated", "volume"):
        flat = dice.choice((None, 1_000))
        terms |= {"tiers_mode": way, "tiers": [(5, dice.randint(0, 900), flat), (20, "12.5", None), (None, 7, flat)]}
    elif way == "package":
        terms |= {"transform_quantity_divide_by": 7, "transform_quantity_round": dice.choice(("up", "down"))}
    else:
        terms["recurring_usage_type"] = "metered"
    return item(
        item_id,
        None if way == "metered" else dice.randint(0, 40),
        price(**terms),
        product_id=dice.choice(("prod_1", "prod_2")),
        price_id=f"price_{item_id}_{dice.randint(1, 10**9)}",
    )


def _discounts(
    dice: random.Random, currency: str, most: int, item_ids: list[str] | None = None
) -> list[dict[str, Any]]:
    found = []
    for _ in range(dice.choice((0, 0, *range(most + 1)))):
        began = _moment(dice)
        terms: dict[str, Any] = {"duration": dice.choice(("forever", "forever", "repeating", "once"))}
        if terms["duration"] == "repeating":
            terms |= {"starts_at": began, "ends_at": began + timedelta(days=dice.randint(1, 200))}
        if item_ids and dice.random() < 0.3:
            terms["subscription_item_id"] = dice.choice(item_ids)
        if dice.random() < 0.2:
            terms["product_ids"] = ["prod_1"]
        if dice.random() < 0.5:
            found.append(percent(dice.choice((10, "12.5", "33.33", 100)), **terms))
        else:
            found.append(amount(dice.choice((1, 500, 10_000)), dice.choice((currency, currency, "chf")), **terms))
    return found


def _tax_rates(dice: random.Random, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if dice.random() < 0.7:
        return []
    item_id = dice.choice((None, items[0]["id"]))
    rate = {"subscription_item_id": item_id, "position": 0, "percentage": dice.choice(("19", "7.7", "20"))}
    return [rate | {"inclusive": dice.random() < 0.7}]


def _moment(dice: random.Random) -> datetime:
    return SINCE + timedelta(seconds=dice.randint(0, seconds(UNTIL) - seconds(SINCE) - 86_400))
