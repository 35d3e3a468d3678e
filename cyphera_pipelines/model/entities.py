"""The five entities that are synced."""

from enum import StrEnum

from cyphera_pipelines.model.errors import InvalidInputError


class Entity(StrEnum):
    """A kind of object at the provider, named as its table."""

    CUSTOMERS = "customers"
    PRODUCTS = "products"
    PRICES = "prices"
    SUBSCRIPTIONS = "subscriptions"
    INVOICES = "invoices"


def parse_entities(names: list[str] | None) -> tuple[Entity, ...]:
    """Return the named entities in their canonical order, each once; all of them for None or an empty list."""
    if not names:
        return tuple(Entity)
    unknown = [name for name in names if name not in {entity.value for entity in Entity}]
    if unknown:
        known = ", ".join(entity.value for entity in Entity)
        raise InvalidInputError(f"Unknown entity {unknown[0]!r}: choose from {known}.")
    return tuple(entity for entity in Entity if entity.value in names)
