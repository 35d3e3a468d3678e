"""What the endpoints answer: bodies as bytes, put together from objects that are bytes already."""

from collections.abc import Callable
from typing import Any

from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes
from cyphera_pipelines.sandbox.stripe.collection import Collection
from cyphera_pipelines.sandbox.stripe.dataset import Dataset
from cyphera_pipelines.sandbox.stripe.discounts import expanded, item_with_ids
from cyphera_pipelines.sandbox.stripe.endpoints import Endpoint
from cyphera_pipelines.sandbox.stripe.errors import ProviderError, account_not_open, no_such, unknown_parameters
from cyphera_pipelines.sandbox.stripe.events import EventLog
from cyphera_pipelines.sandbox.stripe.generate.subscriptions import EMBEDDED
from cyphera_pipelines.sandbox.stripe.listing import PageRequest, page
from cyphera_pipelines.sandbox.stripe.query import ListQuery, matcher, parse_list_query
from cyphera_pipelines.sandbox.stripe.test_clocks import LEFT_OUT_OF, ClockList
from cyphera_pipelines.sandbox.stripe.webhooks.endpoints import WebhookEndpoints
from cyphera_pipelines.sandbox.stripe.writes.kept import KEPT_KINDS, KeptObjects

KINDS = {
    "customers": "customer",
    "products": "product",
    "prices": "price",
    "subscriptions": "subscription",
    "subscription_items": "subscription_item",
    "invoices": "invoice",
    "events": "event",
    "lines": "line item",
    "tax_ids": "tax id",
    "test_clocks": "test clock",
    "webhook_endpoints": "webhook endpoint",
    **KEPT_KINDS,
}
Source = Collection | EventLog | ClockList | WebhookEndpoints | KeptObjects
_REFERENCES = {
    "customer": "customers",
    "product": "products",
    "default_price": "prices",
    "latest_invoice": "invoices",
    "latest_charge": "charges",
    "balance_transaction": "balance_transactions",
}
_WITH_DISCOUNTS = ("discount", "discounts", "items", "total_discount_amounts")
_LISTS_TO_EXPAND = {"customers": "tax_ids", "invoices": "payments"}
_OWNERS = {"sources": "customer", "payment_methods": "customer", "external_accounts": "account"}


def answer(dataset: Dataset, endpoint: Endpoint, query_string: str) -> bytes:
    """Return the body of a successful response. Raises ProviderError for any other."""
    with dataset.lock:
        if endpoint.name == "account":
            return _account(dataset, endpoint)
        if endpoint.owner_id is not None:
            _check_owner(dataset, endpoint)
        if not endpoint.is_list:
            return _retrieve(dataset, endpoint.name, endpoint.object_id or "", query_string)
        query = parse_list_query(endpoint.name, query_string)
        query.expand = _granted(dataset, query.expand)
        if endpoint.name == "lines":
            return _nested(dataset, "invoices", "lines", endpoint.object_id or "", query)
        if endpoint.name == "tax_ids":
            return _nested(dataset, "customers", "tax_ids", endpoint.object_id or "", query)
        if endpoint.name == "subscription_items":
            return _nested(dataset, "subscriptions", "items", query.filters["subscription"], query)
        if endpoint.owner_id is not None:
            query.filters[_OWNERS[endpoint.name]] = endpoint.owner_id
        return _list(dataset, endpoint.name, query)


def shown_after(dataset: Dataset, name: str, obj: JsonObject, expand: list[str]) -> bytes:
    """Return the body that shows an object which was made or changed just now; `expand` as it was asked for."""
    source = dataset.source(name)
    number = None if obj.get("deleted") is True else source.number_of(obj["id"])
    if number is None:
        return to_bytes(obj)
    return to_bytes(_expanded(dataset, source, number, _expansions(expand, "")))


def _check_owner(dataset: Dataset, endpoint: Endpoint) -> None:
    owner_id = endpoint.owner_id or ""
    if _OWNERS[endpoint.name] == "account":
        if owner_id != dataset.account.account_id:
            raise account_not_open(dataset.account.api_key, owner_id)
        return
    number = dataset.collections["customers"].number_of(owner_id)
    if number is None or not dataset.collections["customers"].listed(number):
        raise no_such("customer", owner_id)


def _list_body(bodies: list[bytes], has_more: bool, url: str) -> bytes:
    flag = b"true" if has_more else b"false"
    return b'{"object":"list","data":[%s],"has_more":%s,"url":%s}' % (b",".join(bodies), flag, to_bytes(url))


def _cursor(dataset: Dataset, name: str, identifier: str | None, param: str) -> int | None:
    if identifier is None:
        return None
    source = dataset.source(name)
    number = source.number_of(identifier)
    strict = dataset.account.rejects_deleted_cursors or isinstance(source, EventLog)
    if number is None or (strict and not source.listed(number)):
        raise no_such(KINDS[name], identifier, param, 400)
    return number


def _list(dataset: Dataset, name: str, query: ListQuery) -> bytes:
    source = dataset.source(name)
    request = PageRequest(
        limit=query.limit,
        starting_after=_cursor(dataset, name, query.starting_after, "starting_after"),
        ending_before=_cursor(dataset, name, query.ending_before, "ending_before"),
        created_from=query.created_from,
        created_before=query.created_before,
    )
    match = matcher(name, query)
    if _leaves_out_test_clocks(source, name, query):
        inner = match
        match = lambda facts: facts.get("test_clock") is None and (inner is None or inner(facts))  # noqa: E731
    found = page(source, request, None if match is None else lambda number: match(source.facts(number)))
    body = _body_with(dataset, source, _expansions(query.expand, "data."))
    bodies = [body(number) for number in found.numbers]
    return _list_body(bodies, found.has_more, f"/v1/{name}")


def _body_with(dataset: Dataset, source: Source, expand: set[str]) -> Callable[[int], bytes]:
    """How the source's objects are shown with these expansions: kept, unless other objects than coupons are in them."""
    if not expand:
        return source.body

    def make(number: int) -> JsonObject:
        return _expanded(dataset, source, number, expand)

    if not isinstance(source, Collection) or expand & _REFERENCES.keys():
        return lambda number: to_bytes(make(number))
    form = f"{dataset.kept['coupons'].revision} {' '.join(sorted(expand))}"
    return lambda number: source.kept_body(number, form, make)


def _leaves_out_test_clocks(source: Source, name: str, query: ListQuery) -> bool:
    """Customers only show those of a test clock that is asked for; subscriptions also those of a customer."""
    asked_for = {"test_clock"} if name == "customers" else {"test_clock", "customer"}
    return (
        name in LEFT_OUT_OF
        and isinstance(source, Collection)
        and source.has_test_clocks
        and not asked_for & query.filters.keys()
    )


def _expansions(paths: list[str], prefix: str) -> set[str]:
    """Return the fields to expand, of the first level, and the paths that lead deeper."""
    found = {path.removeprefix(prefix) for path in paths if path.startswith(prefix)}
    return {path.partition(".")[0] for path in found} | found


def _shown_options(options: JsonObject, expand: set[str]) -> JsonObject:
    """What a price costs in each currency, with the tiers of those currencies only that are named for it."""
    return {
        currency: {
            field: value
            for field, value in option.items()
            if field != "tiers" or f"currency_options.{currency}.tiers" in expand
        }
        for currency, option in options.items()
    }


def _expanded(dataset: Dataset, source: Source, number: int, expand: set[str]) -> JsonObject:
    if isinstance(source, KeptObjects):
        whole, shown = source.whole(number), dict(source.shown(number))
        shown |= {field: whole[field] for field in expand & {"applies_to"} if field in whole}
        return _with_references(dataset, shown, expand)
    if not isinstance(source, Collection):
        return source.whole(number)
    shown = dict(source.shown(number))
    if any("discount" in path for path in expand):
        told = expanded(source.name, source.embedded(number), expand, lambda coupon_id: _coupon(dataset, coupon_id))
        shown |= {field: told[field] for field in _WITH_DISCOUNTS if field in told}
    for field in expand & {_LISTS_TO_EXPAND.get(source.name)}:
        whole = source.whole(number).get(field, _empty_list(f"/v1/{source.name}/{shown['id']}/{field}"))
        shown[field] = _beginning(whole)
    if "tiers" in expand:
        whole = source.whole(number)
        if "tiers" in whole:
            shown["tiers"] = whole["tiers"]
    if "currency_options" in expand:
        options = source.whole(number).get("currency_options")
        if options is not None:
            shown["currency_options"] = _shown_options(options, expand)
    return _with_references(dataset, shown, expand)


def _coupon(dataset: Dataset, coupon_id: str) -> Any:
    """The coupon, also a deleted one: whoever has a discount of it keeps that."""
    number = dataset.kept["coupons"].number_of(coupon_id)
    if number is None:
        return coupon_id
    shown = dataset.kept["coupons"].shown(number)
    return shown if dataset.kept["coupons"].listed(number) else {**shown, "valid": False}


def _beginning(nested: Any) -> Any:
    """A nested list as Stripe embeds it: its first ten elements."""
    if not isinstance(nested, dict) or len(nested["data"]) <= EMBEDDED:
        return nested
    return {**nested, "data": nested["data"][:EMBEDDED], "has_more": True}


def _with_references(dataset: Dataset, shown: JsonObject, expand: set[str]) -> JsonObject:
    """The object with whole ones in place of ids: of deeper ones a charge's balance transaction."""
    for field in expand & _REFERENCES.keys():
        identifier = shown.get(field)
        if isinstance(identifier, str):
            shown[field] = _referred(dataset, _REFERENCES[field], identifier)
        if field == "latest_charge" and isinstance(shown.get(field), dict):
            shown[field] = _with_references(dataset, dict(shown[field]), {"balance_transaction"})
    return shown


def _empty_list(url: str) -> JsonObject:
    return {"object": "list", "data": [], "has_more": False, "url": url}


def _referred(dataset: Dataset, name: str, identifier: str) -> Any:
    collection = dataset.source(name)
    number = collection.number_of(identifier)
    if number is None:
        return identifier
    if not collection.listed(number):
        return _deleted(name, identifier)
    return dict(collection.shown(number)) if isinstance(collection, Collection | KeptObjects) else identifier


def _deleted(name: str, identifier: str) -> JsonObject:
    return {"id": identifier, "object": KINDS[name], "deleted": True}


def _retrieve(dataset: Dataset, name: str, identifier: str, query_string: str) -> bytes:
    expand = _retrieve_expansions(dataset, query_string)
    if name == "subscription_items":
        return _subscription_item(dataset, identifier)
    source = dataset.source(name)
    number = source.number_of(identifier)
    if number is None:
        raise no_such(KINDS[name], identifier)
    if not source.listed(number):
        if name == "customers":
            return to_bytes(_deleted(name, identifier))
        raise no_such(KINDS[name], identifier)
    return to_bytes(_expanded(dataset, source, number, expand)) if expand else source.body(number)


def _retrieve_expansions(dataset: Dataset, query_string: str) -> set[str]:
    if not query_string:
        return set()
    query = parse_list_query("lines", query_string)
    others = [name for name in ("starting_after", "ending_before") if getattr(query, name) is not None]
    if "limit=" in query_string or others:
        raise unknown_parameters(others or ["limit"])
    return _expansions(_granted(dataset, query.expand), "")


def _granted(dataset: Dataset, expand: list[str]) -> list[str]:
    """What is expanded of what was asked for. Raises ProviderError (400) where discounts are refused."""
    of_discounts, how = [path for path in expand if "discount" in path], dataset.account.discount_expansions
    if not of_discounts or how == "honoured":
        return expand
    if how == "refused":
        raise ProviderError(400, f"This property cannot be expanded ({of_discounts[0]}).", param="expand")
    return [path for path in expand if path not in of_discounts]


def _subscription_item(dataset: Dataset, identifier: str) -> bytes:
    packed = dataset.catalog.world.ids["subscription_items"].decode(identifier)
    subscriptions = dataset.collections["subscriptions"]
    number = None if packed is None else packed // 32
    if number is not None and number < subscriptions.count:
        for item in subscriptions.whole(number)["items"]["data"]:
            if item["id"] == identifier:
                return to_bytes(item_with_ids(item))
    raise no_such(KINDS["subscription_items"], identifier)


class _Elements:
    """A nested list, as pages need it."""

    def __init__(self, elements: list[JsonObject]) -> None:
        self.count = len(elements)

    def first_at_or_after(self, second: int) -> int:
        """Nested lists are not filtered by time."""
        raise TypeError(f"a nested list has no place for the second {second}")

    def listed(self, number: int) -> bool:
        """All elements are there."""
        return 0 <= number < self.count


def _nested(dataset: Dataset, name: str, field: str, parent_id: str, query: ListQuery) -> bytes:
    collection = dataset.collections[name]
    number = collection.number_of(parent_id)
    if number is None or not collection.listed(number):
        if field == "items":
            raise no_such(KINDS[name], parent_id, "subscription", 400)
        raise no_such(KINDS[name], parent_id)
    nested = collection.whole(number).get(field) or _empty_list(f"/v1/{name}/{parent_id}/{field}")
    elements: list[JsonObject] = nested["data"]
    if field == "items" and "data.discounts" not in query.expand:
        elements = list(map(item_with_ids, elements))
    positions = {element["id"]: position for position, element in enumerate(elements)}
    for param, cursor in (("starting_after", query.starting_after), ("ending_before", query.ending_before)):
        if cursor is not None and cursor not in positions:
            raise no_such(KINDS["subscription_items" if field == "items" else field], cursor, param, 400)
    request = PageRequest(
        limit=query.limit,
        starting_after=None if query.starting_after is None else positions[query.starting_after],
        ending_before=None if query.ending_before is None else positions[query.ending_before],
        oldest_first=True,
    )
    found = page(_Elements(elements), request)
    bodies = [to_bytes(elements[position]) for position in found.numbers]
    url = "/v1/subscription_items" if field == "items" else nested["url"]
    return _list_body(bodies, found.has_more, url)


def _account(dataset: Dataset, endpoint: Endpoint) -> bytes:
    account = dataset.account
    if endpoint.object_id not in (None, account.account_id):
        raise account_not_open(account.api_key, endpoint.object_id)
    return to_bytes(
        {
            "id": account.account_id,
            "object": "account",
            "business_profile": {
                "annual_revenue": None,
                "estimated_worker_count": None,
                "mcc": "5734",
                "minority_owned_business_designation": None,
                "monthly_estimated_revenue": None,
                "name": account.name,
                "product_description": None,
                "support_address": None,
                "support_email": None,
                "support_phone": None,
                "support_url": None,
                "url": None,
            },
            "business_type": "company",
            "capabilities": {"card_payments": "active", "transfers": "active"},
            "charges_enabled": True,
            "controller": {"type": "account"},
            "country": account.country,
            "created": account.newest_created - (account.days + 30) * 86_400,
            "default_currency": account.default_currency,
            "details_submitted": True,
            "email": "owner@example.com",
            "metadata": {},
            "payouts_enabled": True,
            "settings": {
                "bacs_debit_payments": {"display_name": None, "service_user_number": None},
                "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
                "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
                "card_payments": {
                    "decline_on": {"avs_failure": False, "cvc_failure": False},
                    "statement_descriptor_prefix": None,
                },
                "dashboard": {"display_name": account.name, "timezone": "Etc/UTC"},
                "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": "offer"},
                "payments": {"statement_descriptor": "SANDBOX"},
                "payouts": {"debit_negative_balances": True, "statement_descriptor": None},
                "sepa_debit_payments": {},
            },
            "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
            "type": "standard",
        }
    )
