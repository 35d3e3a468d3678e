"""Customers."""

from typing import Any

from cyphera_pipelines.providers.base import Address, Customer, TaxId
from cyphera_pipelines.providers.stripe.operations.objects.fields import Fields


def to_customer(obj: Any) -> Customer:
    """The customer in Stripe's object. Raises ProviderError for what is none."""
    fields = Fields(obj, "the customer")
    locales = obj.get("preferred_locales")
    locale = locales[0] if isinstance(locales, list) and locales else None
    return Customer(
        id=fields.id(),
        email=fields.text("email"),
        name=fields.text("name"),
        phone=fields.text("phone"),
        billing_address=_to_address(fields.inner("address")),
        shipping_address=_to_address(fields.inner("shipping", "address")),
        tax_ids=tuple(
            TaxId(each.required_text("type"), each.required_text("value")) for each in fields.each("tax_ids")
        ),
        preferred_locale=locale if isinstance(locale, str) else None,
        created=fields.moment("created"),
        metadata=fields.metadata(),
    )


def _to_address(fields: Fields | None) -> Address | None:
    if fields is None:
        return None
    return Address(
        line1=fields.text("line1"),
        line2=fields.text("line2"),
        city=fields.text("city"),
        state=fields.text("state"),
        postal_code=fields.text("postal_code"),
        country=fields.text("country"),
    )
