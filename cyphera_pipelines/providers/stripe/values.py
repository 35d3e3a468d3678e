"""Small functions that take one value out of a Stripe object."""

from typing import Any

from cyphera_pipelines.providers.mapping.rows import UnmappableValueError
from cyphera_pipelines.providers.mapping.values import Getter, currency, path


def reference(*names: str) -> Getter:
    """The id of an expandable field: it holds an id, or the object itself where it was expanded."""

    def get(obj: Any) -> Any:
        for name in names:
            if obj.__class__ is not dict:
                return None
            obj = obj.get(name)
        return obj.get("id") if obj.__class__ is dict else obj

    return get


def billed(name: str) -> Getter:
    """An amount of an item's price in the item's own `currency`; None if the price does not tell it in that one."""
    billed_in, own_currency = currency("currency"), currency("price", "currency")

    def get(item: dict[str, Any]) -> Any:
        price, wanted, own = item.get("price"), billed_in(item), own_currency(item)
        if not isinstance(price, dict):
            return None
        if own is None or own == wanted:
            return price.get(name)
        option = path("currency_options", wanted)(price)
        return option.get(name) if isinstance(option, dict) else None

    return get


def total_of(list_name: str) -> Getter:
    """The sum of the `amount`s of a list; None if there is no list."""

    def get(obj: dict[str, Any]) -> Any:
        entries = obj.get(list_name)
        if not isinstance(entries, list):
            return None
        try:
            return sum(entry["amount"] for entry in entries)
        except (KeyError, TypeError):
            raise UnmappableValueError(f"`{list_name}` holds something without an amount") from None

    return get
