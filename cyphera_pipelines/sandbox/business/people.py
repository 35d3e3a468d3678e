"""Whom a business sells to."""

from typing import NamedTuple

from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.business.vocabulary import COMPANIES, PEOPLE, PLACES, STREETS
from cyphera_pipelines.sandbox.business.world import World


class Place(NamedTuple):
    """A postal address."""

    line1: str
    line2: str | None
    city: str
    country: str
    postal_code: str
    state: str | None


def contact(world: World, number: int) -> tuple[str | None, str | None, bool]:
    """Return (name, email, is a company) of a customer, for itself and for the invoices that repeat them."""
    dice = world.dice("contact", number)
    is_company = dice.chance(0.3)
    name = dice.pick(COMPANIES) if is_company else dice.pick(PEOPLE)
    email = None if dice.chance(0.04) else f"customer.{number}@example.com"
    return (None if dice.chance(0.03) else name), email, is_company


def place(dice: Dice) -> Place:
    """Return where somebody lives."""
    city, country, postal_code, state = dice.pick(PLACES)
    line1 = f"{dice.between(1, 400)} {dice.pick(STREETS)}"
    return Place(line1, "2nd floor" if dice.chance(0.1) else None, city, country, postal_code, state)
