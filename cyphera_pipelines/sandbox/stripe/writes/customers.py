"""Customers: made, changed, deleted."""

from typing import Any

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.errors import ProviderError
from cyphera_pipelines.sandbox.stripe.writes.kept import new_id
from cyphera_pipelines.sandbox.stripe.writes.parameters import Given
from cyphera_pipelines.sandbox.stripe.writes.subscriptions import end
from cyphera_pipelines.sandbox.stripe.writes.work import Work

_TEXTS = ("email", "name", "phone", "description")
_COMMON = frozenset({*_TEXTS, "address", "shipping", "preferred_locales", "metadata", "invoice_settings", "tax_exempt"})
CREATE = _COMMON | {"tax_id_data", "payment_method", "balance"}
UPDATE = _COMMON | {"default_source", "balance"}
_ADDRESS = ("line1", "line2", "city", "state", "postal_code", "country")


def create(work: Work, given: Given) -> JsonObject:
    """Make a customer."""
    given.only(CREATE)
    made: JsonObject = {
        "id": new_id("cus_"),
        "object": "customer",
        "address": None,
        "balance": given.integer("balance") or 0,
        "business_name": None,
        "created": work.now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "individual_name": None,
        "invoice_prefix": new_id("")[:8].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": work.livemode,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    tax_ids = [
        {
            "id": new_id("txi_1"),
            "object": "tax_id",
            "country": None,
            "created": work.now,
            "customer": made["id"],
            "livemode": work.livemode,
            "type": each.required("type"),
            "value": each.required("value"),
            "verification": {"status": "pending", "verified_address": None, "verified_name": None},
        }
        for each in given.each("tax_id_data")
    ]
    url = f"/v1/customers/{made['id']}/tax_ids"
    made["tax_ids"] = {"object": "list", "data": tax_ids, "has_more": False, "url": url}
    return work.make("customers", _applied(made, given))


def update(work: Work, given: Given, identifier: str) -> JsonObject:
    """Change a customer."""
    given.only(UPDATE)
    customer = work.find("customers", identifier)
    if "default_source" in given:
        source_id = given.required("default_source")
        customer["default_source"] = work.find("sources", source_id, "default_source")["id"]
    return work.change("customers", _applied(customer, given))


def delete(work: Work, given: Given, identifier: str) -> JsonObject:
    """Delete a customer, whose subscriptions end."""
    given.only(())
    customer = work.find("customers", identifier)
    for subscription in work.every("subscriptions", customer=identifier):
        if subscription["status"] not in ("canceled", "incomplete_expired"):
            end(work, subscription)
    return work.remove("customers", customer)


def _applied(customer: JsonObject, given: Given) -> JsonObject:
    for name in _TEXTS:
        if name in given:
            customer[name] = given.text(name)
    email = customer["email"]
    if email is not None and "@" not in str(email):
        raise ProviderError(400, f"Invalid email address: {email}", code="email_invalid", param="email")
    if "address" in given:
        customer["address"] = _address(given.inner("address"), customer["address"])
    if "shipping" in given:
        shipping = given.inner("shipping")
        customer["shipping"] = None if shipping is None else {
            "address": _address(shipping.inner("address"), (customer["shipping"] or {}).get("address")),
            "name": shipping.required("name"),
            "phone": shipping.text("phone"),
        }  # fmt: skip
    if "preferred_locales" in given:
        customer["preferred_locales"] = given.texts("preferred_locales")
    settings = given.inner("invoice_settings")
    if settings is not None and "default_payment_method" in settings:
        chosen = {"default_payment_method": settings.text("default_payment_method")}
        customer["invoice_settings"] = {**(customer["invoice_settings"] or {}), **chosen}
    customer["metadata"] = given.metadata(customer["metadata"])
    return customer


def _address(given: Given | None, present: Any) -> JsonObject | None:
    if given is None:
        return None
    kept = present if isinstance(present, dict) else {}
    return {name: given.text(name) if name in given else kept.get(name) for name in _ADDRESS}
