"""What is answered to those who read: bodies as bytes, put together from objects that are bytes already."""

import json

from cyphera_pipelines.sandbox.chargebee.dataset import SiteDataset
from cyphera_pipelines.sandbox.chargebee.endpoints import READ_ACTIONS, Endpoint
from cyphera_pipelines.sandbox.chargebee.errors import (
    no_such_path,
    not_found,
    wrong_method,
    wrong_value,
)
from cyphera_pipelines.sandbox.chargebee.listing import page
from cyphera_pipelines.sandbox.chargebee.query import MOST_LINES, ListQuery, parse_list_query, refuse_parameters
from cyphera_pipelines.sandbox.chargebee.resources import RESOURCES
from cyphera_pipelines.sandbox.chargebee.shelf import Shelf, is_hidden
from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes

_LINES = frozenset({"line_items_limit", "line_items_offset"})


def answer(dataset: SiteDataset, endpoint: Endpoint, query_string: str) -> bytes:
    """Return the body of a successful response to a GET. Raises ChargebeeError for any other."""
    with dataset.lock:
        if endpoint.resource == "configurations":
            return to_bytes({"configurations": [_configuration(dataset)]})
        if endpoint.action is not None and (endpoint.resource, endpoint.action) not in READ_ACTIONS:
            raise wrong_method("GET") if endpoint.object_id else no_such_path()
        if endpoint.object_id is None:
            return _list(dataset, endpoint.resource, query_string)
        if endpoint.action == "discounts":
            return _discounts(dataset, endpoint.object_id)
        return _retrieve(dataset, endpoint.resource, endpoint.object_id, query_string)


def _configuration(dataset: SiteDataset) -> JsonObject:
    catalog = dataset.account.catalog
    schema = {"v1": "plans_addons", "v2": "items", "mixed": "compat"}[catalog]
    return {
        "domain": dataset.account.site,
        "product_catalog_version": "v1" if catalog == "v1" else "v2",
        "chargebee_response_schema_type": schema,
        "object": "configuration",
    }


def shelf_of(dataset: SiteDataset, name: str) -> Shelf:
    """Return the objects of a resource, events among them."""
    return dataset.events.shelf if name == "events" else dataset.objects.shelf(name)


def _list(dataset: SiteDataset, name: str, query_string: str) -> bytes:
    resource = RESOURCES[name]
    query, shelf = parse_list_query(resource, query_string), shelf_of(dataset, name)
    if name == "events":
        found = page(shelf, query, dataset.offsets, dataset.events.is_seen)
    else:
        found = page(shelf, query, dataset.offsets)
    entries = b",".join(_entry(dataset, shelf, place, query) for place in found.places)
    if found.next_offset is None:
        return b'{"list":[%s]}' % entries
    return b'{"list":[%s],"next_offset":%s}' % (entries, to_bytes(found.next_offset))


def _entry(dataset: SiteDataset, shelf: Shelf, place: int, query: ListQuery) -> bytes:
    """An object as a list holds it, with its customer and that one's card where Chargebee shows them."""
    name, singular, body = shelf.resource.plural, shelf.resource.singular.encode(), shelf.body(place)
    if name == "invoices" and dataset.account.line_items_at_once is not None:
        limit = query.line_items_limit or dataset.account.line_items_at_once
        body = to_bytes(_with_lines(shelf.whole(place), 0, limit))
    if name not in ("customers", "subscriptions"):
        return b'{"%s":%s}' % (singular, body)
    whole = shelf.whole(place)
    beside = b"".join(b',"%s":%s' % (key.encode(), to_bytes(value)) for key, value in beside_of(dataset, whole).items())
    return b'{"%s":%s%s}' % (singular, body, beside)


def beside_of(dataset: SiteDataset, whole: JsonObject) -> JsonObject:
    """Return what answers show beside an object: a subscription's customer, and a customer's card."""
    shown: JsonObject = {}
    customer = whole
    if whole["object"] == "subscription":
        found = dataset.objects.find("customers", str(whole.get("customer_id")))
        if found is None:
            return shown
        customer = shown["customer"] = found
    source = dataset.objects.find("payment_sources", str(customer.get("primary_payment_source_id")))
    if whole["object"] in ("subscription", "customer") and source is not None and "card" in source:
        shown["card"] = {
            **source["card"],
            "payment_source_id": source["id"],
            "customer_id": source["customer_id"],
            "status": source["status"],
            "gateway": source["gateway"],
            "object": "card",
        }
    return shown


def _retrieve(dataset: SiteDataset, name: str, object_id: str, query_string: str) -> bytes:
    given = refuse_parameters(query_string, _LINES if name == "invoices" else frozenset())
    whole = _there(dataset, name, object_id)
    if name == "invoices":
        whole = _some_lines(dataset, whole, given)
    singular = RESOURCES[name].singular
    return to_bytes({singular: whole, **beside_of(dataset, whole)})


def _there(dataset: SiteDataset, name: str, object_id: str) -> JsonObject:
    """An object that can be retrieved. Deleted ones can: they say that they are."""
    shelf = shelf_of(dataset, name)
    if object_id not in shelf:
        raise not_found(object_id)
    whole = shelf.get(object_id)
    is_gone = is_hidden(shelf.resource, whole) and name in ("invoices", "coupons", "payment_sources")
    if is_gone or (name == "events" and not dataset.events.is_seen(whole)):
        raise not_found(object_id)
    return whole


def _some_lines(dataset: SiteDataset, whole: JsonObject, given: dict[str, str]) -> JsonObject:
    at_once = dataset.account.line_items_at_once
    if at_once is None:
        return whole
    try:
        limit = int(given.get("line_items_limit", at_once))
    except ValueError:
        raise wrong_value("line_items_limit", "should be a number") from None
    if not 1 <= limit <= MOST_LINES:
        raise wrong_value("line_items_limit", f"should be between 1 and {MOST_LINES}")
    start = 0
    if "line_items_offset" in given:
        try:
            start = int(json.loads(given["line_items_offset"])[0])
        except (ValueError, TypeError, IndexError, KeyError):
            raise wrong_value("line_items_offset", "invalid value") from None
    return _with_lines(whole, start, limit)


def _with_lines(whole: JsonObject, start: int, limit: int) -> JsonObject:
    """The invoice with so many of its lines, and what belongs to those."""
    lines = whole["line_items"]
    shown = {**whole, "line_items": lines[start : start + limit]}
    names = {line["id"] for line in shown["line_items"]}
    for field in ("line_item_taxes", "line_item_discounts"):
        if field in whole:
            shown[field] = [each for each in whole[field] if each["line_item_id"] in names]
    if start + limit < len(lines):
        shown["line_items_next_offset"] = json.dumps([str(start + limit)])
    return shown


def _discounts(dataset: SiteDataset, subscription_id: str) -> bytes:
    whole = _there(dataset, "subscriptions", subscription_id)
    return to_bytes({"list": [{"discount": discount} for discount in whole.get("discounts", [])]})
