"""Customers."""

from pydantic import BaseModel, ConfigDict, Field

from cyphera_pipelines.api.schemas.fields import RequestBody
from cyphera_pipelines.api.schemas.objects import examples
from cyphera_pipelines.api.schemas.objects.values import (
    AddressIn,
    AddressOut,
    MetadataIn,
    ObjectOut,
    PageOfObjects,
    ShortText,
)


class TaxIdIn(RequestBody):
    """A number by which a tax office knows the customer."""

    type: ShortText = Field(description="As the provider calls it.", examples=["eu_vat"])
    value: ShortText = Field(description="The number.")


class ChangeCustomer(RequestBody):
    """What is to change of a customer: what is left out or null stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "billing@acme.example"}]})

    email: ShortText | None = Field(default=None, description="Where bills are sent to.")
    name: ShortText | None = Field(default=None, description="The person's or company's name.")
    phone: ShortText | None = Field(default=None, description="A telephone number.")
    billing_address: AddressIn | None = Field(default=None, description="What stands on bills.")
    shipping_address: AddressIn | None = Field(default=None, description="Where goods are sent to.")
    preferred_locale: ShortText | None = Field(default=None, description="The language of bills, as in `de`.")
    metadata: MetadataIn | None = Field(default=None, description="Names and values to be noted on it.")


class CreateCustomer(ChangeCustomer):
    """A customer to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"email": "billing@acme.example", "name": "Acme Inc.", "metadata": {"plan": "pro"}}]
        }
    )

    tax_ids: list[TaxIdIn] = Field(default=[], max_length=10, description="Taken as the customer is made only.")


class TaxIdOut(BaseModel):
    """A number by which a tax office knows the customer."""

    type: str = Field(description="As the provider calls it.")
    value: str = Field(description="The number.")


class CustomerOut(ObjectOut):
    """A person or company that is billed."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.CUSTOMER))

    email: str | None = Field(default=None, description="Where bills are sent to.")
    name: str | None = Field(default=None, description="The person's or company's name.")
    phone: str | None = Field(default=None, description="A telephone number.")
    billing_address: AddressOut | None = Field(default=None, description="What stands on bills.")
    shipping_address: AddressOut | None = Field(default=None, description="Where goods are sent to.")
    tax_ids: list[TaxIdOut] = Field(default=[], description="Those that the provider tells.")
    preferred_locale: str | None = Field(default=None, description="The language of bills.")


class Customers(PageOfObjects):
    """Some customers."""

    items: list[CustomerOut] = Field(description="Newest first.")
