"""Customers."""

from typing import Any

from cyphera_pipelines.providers.base import Address, Customer, TaxId
from cyphera_pipelines.providers.chargebee.operations.objects.fields import fields_of, metadata_of
from cyphera_pipelines.providers.mapping.answer_fields import AnswerFields

TAX_ID = "vat_number"


def to_customer(obj: Any) -> Customer:
    """The customer in Chargebee's object. Raises ProviderError for what is none."""
    fields = fields_of(obj, "the customer")
    names = [name for name in (fields.text("first_name"), fields.text("last_name")) if name]
    tax_number = fields.text(TAX_ID)
    return Customer(
        id=fields.id(),
        email=fields.text("email"),
        name=" ".join(names) or fields.text("company"),
        phone=fields.text("phone"),
        billing_address=_to_address(fields.inner("billing_address")),
        tax_ids=() if not tax_number else (TaxId(TAX_ID, tax_number),),
        preferred_locale=fields.text("locale"),
        created=fields.moment("created_at"),
        metadata=metadata_of(fields, "meta_data"),
    )


def _to_address(fields: AnswerFields | None) -> Address | None:
    if fields is None:
        return None
    return Address(
        line1=fields.text("line1"),
        line2=fields.text("line2"),
        city=fields.text("city"),
        state=fields.text("state") or fields.text("state_code"),
        postal_code=fields.text("zip"),
        country=fields.text("country"),
    )
