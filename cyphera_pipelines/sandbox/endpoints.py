"""Which endpoint a path belongs to. Limits and counters go by the endpoint, not by the path."""

from dataclasses import dataclass
from urllib.parse import unquote

LISTS = ("customers", "products", "prices", "subscriptions", "invoices", "events")
PERMISSIONS = {
    "customers": "customer",
    "products": "product",
    "prices": "plan",
    "subscriptions": "subscription",
    "invoices": "invoice",
    "events": "event",
    "subscription_items": "subscription",
    "lines": "invoice",
    "account": "account",
    "test_clocks": "billing_clock",
    "webhook_endpoints": "webhook",
}
"""What a restricted key must be allowed to read (or write), as Stripe names it (prices are still `plan` there)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a request is for. `template` is as `GET /v1/invoices/:id/lines`; `name` a list's name or `account`.

    `writes` is the method of a request that changes something.
    """

    template: str
    name: str
    object_id: str | None = None
    is_list: bool = True
    writes: str | None = None


def find_endpoint(method: str, path: str) -> Endpoint | None:
    """Return the endpoint of a request, None if there is none."""
    parts = path.split("/")
    if len(parts) < 3 or parts[:2] != ["", "v1"]:
        return None
    if parts[2] == "webhook_endpoints":
        return _webhook_endpoint(method, parts[3:])
    if method != "GET":
        return None
    match parts[2:]:
        case ["account"]:
            return Endpoint("GET /v1/account", "account", is_list=False)
        case ["accounts", account_id] if account_id:
            return Endpoint("GET /v1/accounts/:id", "account", unquote(account_id), is_list=False)
        case ["test_helpers", "test_clocks"]:
            return Endpoint("GET /v1/test_helpers/test_clocks", "test_clocks")
        case [name] if name in LISTS or name == "subscription_items":
            return Endpoint(f"GET /v1/{name}", name)
        case [name, object_id] if object_id and (name in LISTS or name == "subscription_items"):
            return Endpoint(f"GET /v1/{name}/:id", name, unquote(object_id), is_list=False)
        case ["invoices", object_id, "lines"] if object_id:
            return Endpoint("GET /v1/invoices/:id/lines", "lines", unquote(object_id))
    return None


def _webhook_endpoint(method: str, rest: list[str]) -> Endpoint | None:
    name = "webhook_endpoints"
    writes = None if method == "GET" else method
    match method, rest:
        case "GET" | "POST", []:
            return Endpoint(f"{method} /v1/{name}", name, is_list=writes is None, writes=writes)
        case "GET" | "POST" | "DELETE", [object_id] if object_id:
            return Endpoint(f"{method} /v1/{name}/:id", name, unquote(object_id), is_list=False, writes=writes)
    return None
