"""What makes a bill come to something else than its prices and discounts: corrections of earlier bills, credit."""

from typing import NamedTuple

from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.business.world import World

_CREDITS = (500, 1_500, 5_000, 20_000)
_EXCEEDING_SHARE = 0.15


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


def proration_of(world: World, invoice: int, subscription: int | None) -> Proration | None:
    """The correction on a subscription's invoice."""
    if subscription is None or not world.business.proration_share:
        return None
    dice = world.dice("proration", invoice)
    if not dice.chance(world.business.proration_share):
        return None
    return Proration(dice.between(1, 29), dice.chance(_EXCEEDING_SHARE))


def unused_time(proration: Proration, price: int, others: int) -> int:
    """What the unused time of a period at that price is worth: negative. `others` is what the other lines cost."""
    return -(others + price // 2 + 1) if proration.exceeds else -(price * proration.days // 30)


def settlement_of(world: World, invoice: int, total: int, status: str) -> Settlement:
    """What an bill leaves to be paid. A negative total is credited to the customer; a draft has settled nothing."""
    if total < 0:
        return Settlement(0, 0 if status == "draft" else total, 0, 0, 0)
    share = world.business.credit_share
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
