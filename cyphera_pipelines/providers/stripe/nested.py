"""Lists inside objects: Stripe embeds their beginning only, and tiers in further currencies only if they are named."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.stripe.expansions import ITEMS

_CURRENCY = re.compile("[a-z]{3}")


@dataclass
class NestedList:
    """A nested list of which only the beginning is embedded, and where the rest is to be had.

    `is_gone` is set when the object turns out to have vanished meanwhile, `failure` when the provider kept failing.
    """

    object_id: str
    embedded: dict[str, Any]
    path: str
    parameters: Mapping[str, str]
    operation: str
    endpoint: str
    expand: tuple[str, ...] = ()
    is_gone: bool = False
    failure: str | None = None

    @property
    def items(self) -> list[Any]:
        """What is embedded."""
        return self.embedded.get("data") or []

    @property
    def last_id(self) -> str | None:
        """The last embedded item: the rest starts after it."""
        return str(self.items[-1]["id"]) if self.items else None

    def replace(self, items: list[dict[str, Any]]) -> None:
        """Embed the whole list in place of its beginning."""
        self.embedded["data"] = items
        self.embedded["has_more"] = False


@dataclass
class OptionTiers:
    """A tiered price whose tiers in some currencies are not told: those have to be asked for one by one.

    `options` are the price's `currency_options`; `is_gone` and `failure` as in `NestedList`.
    """

    object_id: str
    options: dict[str, Any]
    currencies: tuple[str, ...]
    is_gone: bool = False
    failure: str | None = None

    @property
    def operation(self) -> str:
        """What is asked for."""
        return f"reading the tiers of price {self.object_id}"

    def replace(self, told: Any) -> None:
        """Embed what the price's options, asked for with their tiers, tell."""
        for name in self.currencies:
            option = told.get(name) if isinstance(told, dict) else None
            tiers = option.get("tiers") if isinstance(option, dict) else None
            if tiers is not None:
                self.options[name]["tiers"] = tiers


def untold_tiers(entity: Entity, obj: Any) -> Iterator[OptionTiers]:
    """The object's tiers in other currencies than its own, where it is a price that has such."""
    if entity is not Entity.PRICES or not isinstance(obj, dict) or not is_usable_id(obj.get("id")):
        return
    options = obj.get("currency_options")
    if obj.get("billing_scheme") != "tiered" or not isinstance(options, dict):
        return
    missing = [name for name, option in options.items() if isinstance(option, dict) and option.get("tiers") is None]
    currencies = tuple(name for name in missing if name != obj.get("currency") and _CURRENCY.fullmatch(name))
    if currencies:
        yield OptionTiers(obj["id"], options, currencies)


def unfinished_lists(entity: Entity, obj: Any) -> Iterator[NestedList]:
    """The object's nested lists that belong to child tables and are not whole."""
    if not isinstance(obj, dict) or not is_usable_id(obj.get("id")):
        return
    object_id = obj["id"]
    if entity is Entity.CUSTOMERS and _has_more(obj.get("tax_ids")):
        operation, path = f"listing the tax ids of customer {object_id}", quote(object_id, safe="")
        yield NestedList(object_id, obj["tax_ids"], f"/v1/customers/{path}/tax_ids", {}, operation, "tax ids")
    if entity is Entity.INVOICES and _has_more(obj.get("lines")):
        operation = f"listing the lines of invoice {object_id}"
        yield NestedList(
            object_id, obj["lines"], f"/v1/invoices/{quote(object_id, safe='')}/lines", {}, operation, "invoice lines"
        )
    if entity is Entity.INVOICES and _has_more(obj.get("payments")):
        operation, which = f"listing the payments of invoice {object_id}", {"invoice": object_id}
        yield NestedList(object_id, obj["payments"], "/v1/invoice_payments", which, operation, "invoice payments")
    if entity is Entity.SUBSCRIPTIONS and _has_more(obj.get("items")):
        operation = f"listing the items of subscription {object_id}"
        yield NestedList(
            object_id,
            obj["items"],
            "/v1/subscription_items",
            {"subscription": object_id},
            operation,
            "subscription items",
            (ITEMS,),
        )


def _has_more(embedded: Any) -> bool:
    """Whether the list goes on. One without an id to go on from, or a plain word, is left for the mapping to report."""
    if not isinstance(embedded, dict) or embedded.get("has_more") is not True:
        return False
    items = embedded.get("data")
    if not items and (items is None or isinstance(items, list)):
        return True
    last = items[-1] if isinstance(items, list) else None
    return isinstance(last, dict) and is_usable_id(last.get("id"))
