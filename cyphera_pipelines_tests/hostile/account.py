"""The account behind the hostile provider: the sandbox's objects, listed as Stripe lists them, and free to be odd.

Unlike the sandbox it takes any JSON for an object, and gives it back as it is.
"""

import copy
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import stripe

from cyphera_pipelines.sandbox import SandboxAccount, SandboxState
from cyphera_pipelines_tests.hostile.odd_values import TOO_DEEP

Json = dict[str, Any]
ENTITIES = ("customers", "products", "prices", "subscriptions", "invoices")
COUPONS = "coupons"
EMBEDDED = {"invoices": "lines", "subscriptions": "items"}
EMBEDS = 10
_TOO_DEEP = json.dumps(TOO_DEEP).encode()
SMALL = SandboxAccount(
    api_key="sk_test_hostile",
    account_id="acct_hostile",
    seed=88,
    customers=12,
    products=4,
    prices=6,
    subscriptions=8,
    invoices=10,
    long_invoice_share=0.3,
    discount_share=0.5,
    coupon_share=0.8,
    customer_discount_share=0.5,
    tax_rate_share=0.6,
    tax_id_share=0.6,
)


class HonestAccount:
    """Objects and events by kind, newest first, as the provider would list them. Change them as you like."""

    def __init__(self, sandbox: SandboxAccount = SMALL) -> None:
        state = SandboxState([sandbox])
        self.api_key = sandbox.api_key
        self.account: Any = {"id": sandbox.account_id, "object": "account", "created": 1_400_000_000, "country": "DE"}
        self.objects: dict[str, list[Any]] = {
            name: sorted(
                copy.deepcopy(list(state.truth(sandbox.account_id, name))), key=lambda each: -int(each["created"])
            )
            for name in (*ENTITIES, COUPONS)
        }
        self.events: list[Any] = []
        self._changes = 0

    def change(self, entity: str, at: int, /, **changes: Any) -> Json:
        """Change an object as the provider would: an event tells of it. Returns the event."""
        obj = self.objects[entity][at]
        obj.update(changes)
        return self.tell(entity, obj)

    def tell(self, entity: str, obj: Any, *, kind: str | None = None, **event: Any) -> Json:
        """Add an event about an object."""
        self._changes += 1
        prefix = "customer.subscription" if entity == "subscriptions" else entity.removesuffix("s")
        told = {
            "id": f"evt_{self._changes}",
            "object": "event",
            "api_version": stripe.api_version,
            "created": int(time.time()),
            "livemode": False,
            "type": kind or f"{prefix}.updated",
            "data": {"object": copy.deepcopy(obj)},
            **event,
        }
        self.events.insert(0, told)
        return told

    def answer(self, path: str, query: Mapping[str, Sequence[str]]) -> tuple[int, Any]:
        """The status and the JSON value that Stripe would answer with."""
        match path.strip("/").split("/")[1:]:
            case ["account"]:
                return 200, self.account
            case ["events"]:
                return self._page(self.events, query)
            case ["subscription_items"]:
                subscription = self._find("subscriptions", query.get("subscription", [""])[0])
                return self._rest(subscription, "items", query)
            case ["invoices", invoice_id, "lines"]:
                return self._rest(self._find("invoices", invoice_id), "lines", query)
            case [entity] if entity in self.objects:
                shown = [_as_embedded(entity, obj) for obj in self.objects[entity]]
                return self._page(shown, query)
            case [entity, object_id] if entity in self.objects:
                found = self._find(entity, object_id)
                return (200, _as_embedded(entity, found)) if found is not None else _missing("id")
        return 404, {"error": {"type": "invalid_request_error", "message": "Unrecognized request URL"}}

    def as_body(self, value: Any) -> bytes:
        """JSON with whatever Python's writer lets through (NaN, lone surrogates, any number), and with `TOO_DEEP`."""
        return json.dumps(value).encode().replace(_TOO_DEEP, b"[" * 10_000 + b"]" * 10_000)

    def _find(self, entity: str, object_id: str) -> Any:
        return next((obj for obj in self.objects[entity] if isinstance(obj, dict) and obj.get("id") == object_id), None)

    def _rest(self, parent: Any, name: str, query: Mapping[str, Sequence[str]]) -> tuple[int, Any]:
        nested = parent.get(name) if isinstance(parent, dict) else None
        items = nested.get("data") if isinstance(nested, dict) else None
        return self._page(items, query) if isinstance(items, list) else _missing("id")

    def _page(self, objects: Sequence[Any], query: Mapping[str, Sequence[str]]) -> tuple[int, Any]:
        def number(name: str, default: int) -> int:
            return int(query.get(name, [str(default)])[0])

        gte, lt, limit = number("created[gte]", -(10**12)), number("created[lt]", 10**12), number("limit", 10)
        shown = [obj for obj in objects if gte <= _created(obj) < lt]
        after = query.get("starting_after", [None])[0]
        if after is not None:
            place = next((at for at, obj in enumerate(shown) if isinstance(obj, dict) and obj.get("id") == after), None)
            if place is None:
                return _missing("starting_after")
            shown = shown[place + 1 :]
        return 200, {"object": "list", "data": shown[:limit], "has_more": len(shown) > limit, "url": "/"}


def _missing(parameter: str) -> tuple[int, Json]:
    error = {"code": "resource_missing", "param": parameter, "message": "No such object", "type": "invalid_request"}
    return (404 if parameter == "id" else 400), {"error": error}


def _created(obj: Any) -> int:
    created = obj.get("created") if isinstance(obj, dict) else None
    return created if isinstance(created, int) and abs(created) < 10**11 else int(time.time())


def _as_embedded(entity: str, obj: Any) -> Any:
    """The object with the beginning of its nested list only."""
    name = EMBEDDED.get(entity)
    if name is None or not isinstance(obj, dict) or not isinstance(obj.get(name), dict):
        return obj
    nested = obj[name]
    if not isinstance(nested.get("data"), list) or len(nested["data"]) <= EMBEDS:
        return obj
    return {**obj, name: {**nested, "data": nested["data"][:EMBEDS], "has_more": True}}
