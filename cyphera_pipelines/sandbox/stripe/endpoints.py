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
    "payment_intents": "payment_intent",
    "charges": "charge",
    "refunds": "charge",
    "payment_methods": "payment_method",
    "sources": "source",
    "external_accounts": "account",
    "coupons": "coupon",
    "tax_ids": "customer",
}
"""What a restricted key must be allowed to read (or write), as Stripe names it (prices are still `plan` there)."""

MADE = ("customers", "products", "prices", "subscriptions", "invoices", "payment_intents", "refunds")
DONE_TO: dict[str, tuple[str, ...]] = {
    "customers": ("update", "delete"),
    "products": ("update", "delete"),
    "prices": ("update",),
    "subscriptions": ("update", "delete"),
    "invoices": ("update", "delete", "add_lines", "finalize", "pay", "void", "send"),
    "payment_intents": ("capture", "cancel"),
    "payment_methods": ("update", "attach", "detach"),
}
"""What can be done to an object, beside `OWNED` ones."""
OWNED = (("customers", "sources"), ("customers", "payment_methods"), ("accounts", "external_accounts"))
_DEEDS = {"POST": "update", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a request is for. `template` is as `GET /v1/invoices/:id/lines`; `name` a list's name or `account`.

    `writes` is the method of a request that changes something, `deed` what it does (`create`, `update`, `delete`,
    `pay`), where it is no webhook endpoint that changes. `owner_id` is the customer or account whose list it is.
    """

    template: str
    name: str
    object_id: str | None = None
    is_list: bool = True
    writes: str | None = None
    deed: str | None = None
    owner_id: str | None = None


def find_endpoint(method: str, path: str) -> Endpoint | None:
    """Return the endpoint of a request, None if there is none."""
    parts = path.split("/")
    if len(parts) < 3 or parts[:2] != ["", "v1"]:
        return None
    if parts[2] == "webhook_endpoints":
        return _webhook_endpoint(method, parts[3:])
    if method != "GET":
        return find_deed(method, parts[2:])
    match parts[2:]:
        case ["account"]:
            return Endpoint("GET /v1/account", "account", is_list=False)
        case ["accounts", account_id] if account_id:
            return Endpoint("GET /v1/accounts/:id", "account", unquote(account_id), is_list=False)
        case ["test_helpers", "test_clocks"]:
            return Endpoint("GET /v1/test_helpers/test_clocks", "test_clocks")
        case [owners, owner_id, name, *rest] if (owners, name) in OWNED and owner_id and len(rest) < 2:
            object_id = unquote(rest[0]) if rest else None
            template = f"GET /v1/{owners}/:id/{name}{'/:id' if rest else ''}"
            return Endpoint(template, name, object_id, is_list=not rest, owner_id=unquote(owner_id))
        case ["refunds" | "payment_intents" | "charges" | "coupons" as name]:
            return Endpoint(f"GET /v1/{name}", name)
        case [
            "refunds" | "payment_intents" | "charges" | "payment_methods" | "coupons" as name,
            object_id,
        ] if object_id:
            return Endpoint(f"GET /v1/{name}/:id", name, unquote(object_id), is_list=False)
        case [name] if name in LISTS or name == "subscription_items":
            return Endpoint(f"GET /v1/{name}", name)
        case [name, object_id] if object_id and (name in LISTS or name == "subscription_items"):
            return Endpoint(f"GET /v1/{name}/:id", name, unquote(object_id), is_list=False)
        case ["customers", object_id, "tax_ids"] if object_id:
            return Endpoint("GET /v1/customers/:id/tax_ids", "tax_ids", unquote(object_id))
        case ["invoices", object_id, "lines"] if object_id:
            return Endpoint("GET /v1/invoices/:id/lines", "lines", unquote(object_id))
    return None


def find_deed(method: str, parts: list[str]) -> Endpoint | None:
    """Return the endpoint of a request that changes something, beneath `/v1`; None if there is none."""
    match method, parts:
        case "POST", [name] if name in MADE:
            return Endpoint(f"POST /v1/{name}", name, is_list=False, writes=method, deed="create")
        case "POST", [owners, owner_id, "sources" | "external_accounts" as name] if (owners, name) in OWNED:
            template = f"POST /v1/{owners}/:id/{name}"
            return Endpoint(template, name, None, False, method, "create", unquote(owner_id))
        case "POST" | "DELETE", [owners, owner_id, "sources" | "external_accounts" as name, object_id] if (
            owners,
            name,
        ) in OWNED and object_id:
            deed, template = _DEEDS[method], f"{method} /v1/{owners}/:id/{name}/:id"
            return Endpoint(template, name, unquote(object_id), False, method, deed, unquote(owner_id))
        case "POST", [name, object_id, deed] if object_id and deed in DONE_TO.get(name, ()):
            template = f"POST /v1/{name}/:id/{deed}"
            return Endpoint(template, name, unquote(object_id), False, method, deed)
        case "POST" | "DELETE", [name, object_id] if object_id and _DEEDS[method] in DONE_TO.get(name, ()):
            template = f"{method} /v1/{name}/:id"
            return Endpoint(template, name, unquote(object_id), False, method, _DEEDS[method])
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
