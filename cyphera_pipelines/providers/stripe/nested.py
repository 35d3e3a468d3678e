"""Lists inside objects: Stripe embeds their beginning only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cyphera_pipelines.model.entities import Entity


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
    is_gone: bool = False
    failure: str | None = None

    @property
    def items(self) -> list[dict[str, Any]]:
        """What is embedded."""
        return self.embedded.get("data") or []

    @property
    def last_id(self) -> str | None:
        """The last embedded item: the rest starts after it."""
        return self.items[-1]["id"] if self.items else None

    def replace(self, items: list[dict[str, Any]]) -> None:
        """Embed the whole list in place of its beginning."""
        self.embedded["data"] = items
        self.embedded["has_more"] = False


def unfinished_lists(entity: Entity, obj: dict[str, Any]) -> Iterator[NestedList]:
    """The object's nested lists that belong to child tables and are not whole."""
    if not isinstance(obj, dict) or not isinstance(obj.get("id"), str):
        return
    object_id = obj["id"]
    if entity is Entity.INVOICES and _has_more(obj.get("lines")):
        operation = f"listing the lines of invoice {object_id}"
        yield NestedList(object_id, obj["lines"], f"/v1/invoices/{object_id}/lines", {}, operation, "invoice lines")
    if entity is Entity.SUBSCRIPTIONS and _has_more(obj.get("items")):
        operation = f"listing the items of subscription {object_id}"
        yield NestedList(
            object_id,
            obj["items"],
            "/v1/subscription_items",
            {"subscription": object_id},
            operation,
            "subscription items",
        )


def _has_more(embedded: Any) -> bool:
    """Whether the list goes on. One without an id to go on from is left for the mapping to report."""
    if not isinstance(embedded, dict) or not embedded.get("has_more"):
        return False
    items = embedded.get("data") or [{"id": ""}]
    last = items[-1] if isinstance(items, list) else None
    return isinstance(last, dict) and isinstance(last.get("id"), str)
