"""Completing invoices of which Chargebee tells the first lines only, as it does where they have very many."""

from typing import Any

from cyphera_pipelines.providers.base import EndlessListError, ProviderError
from cyphera_pipelines.providers.chargebee.resources import id_of
from cyphera_pipelines.providers.chargebee.transport import ChargebeeTransport, object_path

GOES_ON = "line_items_next_offset"
LINES_AT_ONCE = 300
MOST_PAGES = 500
_OF_LINES = ("line_items", "line_item_tiers", "line_item_discounts", "line_item_taxes", "line_item_credits")


def is_unfinished(invoice: Any) -> bool:
    """Whether the invoice has more lines than it shows."""
    return isinstance(invoice, dict) and id_of(invoice) is not None and isinstance(invoice.get(GOES_ON), str)


def read_rest(transport: ChargebeeTransport, invoice: dict[str, Any]) -> int:
    """Add the lines that are left, and what belongs to them, in place. Returns the requests made.

    Raises ProviderError's kinds; then the invoice is as it was.
    """
    operation = f"reading the lines of invoice {invoice['id']}"
    lists = {name: list(_list_in(invoice, name, operation)) for name in _OF_LINES}
    offset, seen, requests = invoice[GOES_ON], set[str](), 0
    while offset is not None:
        if offset in seen or requests >= MOST_PAGES:
            raise EndlessListError(operation, "the same lines follow again, or too many")
        seen.add(offset)
        parameters = {"line_items_limit": LINES_AT_ONCE, "line_items_offset": offset}
        path = object_path("invoices", invoice["id"])
        answer = transport.get(path, parameters, operation, endpoint="one of invoices")
        requests += 1
        told = answer.get("invoice")
        if not isinstance(told, dict) or told.get("id") != invoice["id"]:
            raise ProviderError(f"Chargebee's answer to {operation} is not that invoice.")
        for name, items in lists.items():
            items += _list_in(told, name, operation)
        offset = told.get(GOES_ON)
        if offset is not None and not isinstance(offset, str):
            raise ProviderError(f"Chargebee's answer to {operation} does not tell plainly where it goes on.")
    del invoice[GOES_ON]
    invoice.update({name: items for name, items in lists.items() if items})
    return requests


def _list_in(invoice: dict[str, Any], name: str, operation: str) -> list[Any]:
    items = invoice.get(name) or []
    if not isinstance(items, list):
        raise ProviderError(f"Chargebee's answer to {operation} has no list in {name}.")
    return items
