"""What makes an invoice come to something else than its prices: discounts, corrections of earlier bills, credit."""

from typing import NamedTuple

from cyphera_pipelines.sandbox.generate.dice import Dice
from cyphera_pipelines.sandbox.generate.timeline import DAY
from cyphera_pipelines.sandbox.generate.world import World
from cyphera_pipelines.sandbox.serialization import JsonObject

_PERCENTS_OFF = (10, 10, 20, 25, 50, 100)
_CREDITS = (500, 1_500, 5_000, 20_000)
_EXCEEDING_SHARE = 0.15


class Discount(NamedTuple):
    """A discount on a whole subscription."""

    id: str
    percent_off: int

    def of(self, amount: int) -> int:
        """What it takes off an amount; of a negative one, what it gives back less."""
        return amount * self.percent_off // 100

    def told(self, amount: int) -> JsonObject:
        """So much of it, as Stripe tells it of lines and of invoices."""
        return {"amount": amount, "discount": self.id}


class Proration(NamedTuple):
    """Unused time of a plan that was left in the middle of a period. `exceeds`: it is worth more than the new bill."""

    days: int
    exceeds: bool


class Settlement(NamedTuple):
    """How much of an invoice's total is to be paid, in minor units, and what became of the rest."""

    starting_balance: int
    ending_balance: int
    amount_due: int
    pre_payment_credit_notes: int
    post_payment_credit_notes: int


def discount_of(world: World, subscription: int | None) -> Discount | None:
    """The discount of a subscription, and so of its invoices."""
    if subscription is None or not world.account.discount_share:
        return None
    dice = world.dice("discount", subscription)
    if not dice.chance(world.account.discount_share):
        return None
    return Discount(f"di_1{dice.hexadecimal(20)}", dice.pick(_PERCENTS_OFF))


def proration_of(world: World, invoice: int, subscription: int | None) -> Proration | None:
    """The correction on a subscription's invoice."""
    if subscription is None or not world.account.proration_share:
        return None
    dice = world.dice("proration", invoice)
    if not dice.chance(world.account.proration_share):
        return None
    return Proration(dice.between(1, 29), dice.chance(_EXCEEDING_SHARE))


def unused_time(proration: Proration, price: int, others: int) -> int:
    """What the unused time of a period at that price is worth: negative. `others` is what the other lines cost."""
    return -(others + price // 2 + 1) if proration.exceeds else -(price * proration.days // 30)


def prorated(line: JsonObject, proration: Proration, amount: int, created: int) -> JsonObject:
    """The line as one that gives back what was billed for the days to come."""
    parent = line["parent"]["subscription_item_details"] or line["parent"]["invoice_item_details"]
    parent["proration"] = True
    return {
        **line,
        "amount": amount,
        "subtotal": amount,
        "description": f"Unused time on {line['description']}",
        "period": {"start": created, "end": created + proration.days * DAY},
        "pricing": {**line["pricing"], "unit_amount_decimal": str(amount)},
        "quantity": 1,
        "quantity_decimal": "1",
    }


def settlement_of(world: World, invoice: int, total: int, status: str) -> Settlement:
    """What an invoice leaves to be paid. A negative total is credited to the customer; a draft has settled nothing."""
    if total < 0:
        return Settlement(0, 0 if status == "draft" else total, 0, 0, 0)
    share = world.account.credit_share
    if not share or status == "draft":
        return Settlement(0, 0, total, 0, 0)
    dice = world.dice("credit", invoice)
    balance = -dice.pick(_CREDITS) if dice.chance(share) else 0
    due = max(total + balance, 0)
    ending = min(balance + total, 0)
    note = _credit_note(dice, due) if dice.chance(share / 2) else 0
    if status == "open":
        return Settlement(balance, ending, due - note, note, 0)
    return Settlement(balance, ending, due, 0, note if status == "paid" else 0)


def _credit_note(dice: Dice, due: int) -> int:
    return due if dice.chance(0.2) else due * dice.between(5, 60) // 100
