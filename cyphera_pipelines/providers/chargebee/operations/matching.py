"""Whether an object, as it was read, is as a write wanted it."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from cyphera_pipelines.providers.chargebee.operations.notes import BEGUN, Note
from cyphera_pipelines.providers.chargebee.operations.subscriptions import ITEMS, REPLACES
from cyphera_pipelines.providers.chargebee.resources import moment_of

CLOCKS_DIFFER_BY = 120
"""Seconds by which the provider's clock may be behind ours, as far as what it makes is looked for."""


def is_as_wanted(obj: Mapping[str, Any], note: Note, sent_at: float) -> bool:
    """Whether the object has the states in the note, and its items."""
    began = note.get(BEGUN)
    if began is not None and (moment_of(obj, began) or 0) < sent_at - CLOCKS_DIFFER_BY:
        return False
    states = note.get("states") or {}
    return _has_all(obj, states) and _has_items(obj, note.get(ITEMS) or (), note.get(REPLACES) or {})


def _has_all(obj: Mapping[str, Any], states: Mapping[str, Any]) -> bool:
    return all(_is(obj.get(name), wanted, name) for name, wanted in states.items())


def _is(told: Any, wanted: Any, name: str) -> bool:
    if name == "line_items":
        return _same_lines(told, wanted)
    if isinstance(wanted, Mapping) and name != "meta_data" and name != "metadata":
        return isinstance(told, Mapping) and _has_all(told, wanted)
    if isinstance(wanted, list):
        return told in wanted
    # What is emptied is left out of answers.
    return told == wanted or (wanted in ("", None) and told in ("", None))


def _has_items(obj: Mapping[str, Any], items: Any, replaced: Mapping[str, Mapping[str, Any] | None]) -> bool:
    told = obj.get("subscription_items")
    there = {
        item.get("item_price_id"): item.get("quantity")
        for item in (told if isinstance(told, list) else ())
        if isinstance(item, dict)
    }
    wanted = [*items, *(item for item in replaced.values() if item is not None)]
    for item in wanted:
        if item["item_price_id"] not in there:
            return False
        if "quantity" in item and there[item["item_price_id"]] != item["quantity"]:
            return False
    kept = {item["item_price_id"] for item in wanted}
    return not any(price_id in there and price_id not in kept for price_id in replaced)


def _same_lines(told: Any, wanted: list[dict[str, Any]]) -> bool:
    if not isinstance(told, list) or len(told) != len(wanted):
        return False
    asked = Counter(_as_asked(line) for line in wanted)
    for line in told:
        if not isinstance(line, dict):
            return False
        as_price = (line.get("entity_id"), line.get("quantity"))
        candidates = (as_price, (line.get("entity_id"), None), (line.get("description"), line.get("amount")))
        fitting = next((each for each in candidates if asked.get(each, 0) > 0), None)
        if fitting is None:
            return False
        asked[fitting] -= 1
    return True


def _as_asked(line: dict[str, Any]) -> tuple[Any, Any]:
    if "item_price_id" in line:
        return line["item_price_id"], line.get("quantity")
    return line["description"], line["amount"]
