"""Products and their prices."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cyphera_pipelines.api.schemas.fields import RequestBody
from cyphera_pipelines.api.schemas.objects import examples
from cyphera_pipelines.api.schemas.objects.values import (
    DecimalText,
    Flag,
    LongText,
    MetadataIn,
    MoneyIn,
    ObjectId,
    ObjectOut,
    PageOfObjects,
    Quantity,
    ShortText,
)

Interval = Literal["day", "week", "month", "year"]
TaxBehavior = Literal["inclusive", "exclusive", "unspecified"]


class ChangeProduct(RequestBody):
    """What is to change of a product: what is left out or null stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"active": False}]})

    name: ShortText | None = Field(default=None, description="What it is called.")
    description: LongText | None = Field(default=None, description="What it is.")
    active: Flag | None = Field(default=None, description="Whether it can be sold; false archives it.")
    tax_code: ShortText | None = Field(default=None, description="How it is taxed, as the provider calls it.")
    unit_label: ShortText | None = Field(default=None, description="What one of it is called, as in `seat`.")
    shippable: Flag | None = Field(default=None, description="Whether it is sent to somebody.")
    metadata: MetadataIn | None = Field(default=None, description="Names and values to be noted on it.")


class CreateProduct(ChangeProduct):
    """A product to be made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Pro plan", "unit_label": "seat"}]})

    name: ShortText = Field(description="What it is called.")


class ProductOut(ObjectOut):
    """What is sold."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.PRODUCT))

    name: str | None = Field(default=None, description="What it is called.")
    description: str | None = Field(default=None, description="What it is.")
    active: bool | None = Field(default=None, description="Whether it can be sold.")
    type: str | None = Field(default=None, description="`service` or `good`, or what the provider calls it.")
    tax_code: str | None = Field(default=None, description="How it is taxed, as the provider calls it.")
    unit_label: str | None = Field(default=None, description="What one of it is called.")
    shippable: bool | None = Field(default=None, description="Whether it is sent to somebody.")


class Products(PageOfObjects):
    """Some products."""

    items: list[ProductOut] = Field(description="Newest first.")


class RecurringIn(RequestBody):
    """How often a price is billed."""

    interval: Interval = Field(description="The unit of time.")
    interval_count: int = Field(default=1, strict=True, ge=1, le=1_000, description="How many of it.")
    usage_type: Literal["licensed", "metered"] | None = Field(
        default=None, description="By the quantity of a subscription, or by use."
    )


class TierIn(RequestBody):
    """One tier of a price."""

    up_to: Quantity | None = Field(default=None, description="So many units; null for all that follow.")
    unit_amount: DecimalText | None = Field(default=None, description="For each unit, in minor units.")
    flat_amount: DecimalText | None = Field(default=None, description="For the tier, in minor units.")


class TransformIn(RequestBody):
    """How the quantity is turned into what is billed."""

    divide_by: int = Field(strict=True, ge=1, le=1_000_000, description="Divided by this.")
    round: Literal["up", "down"] = Field(description="And rounded so.")


class CreatePrice(RequestBody):
    """A price to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "product_id": "prod_1Example",
                    "money": {"amount": 1999, "currency": "usd"},
                    "recurring": {"interval": "month"},
                }
            ]
        }
    )

    product_id: ObjectId = Field(description="What it is the price of.")
    money: MoneyIn = Field(description="For one unit. With `tiers` only its currency counts.")
    active: Flag = Field(default=True, description="Whether it can be sold.")
    recurring: RecurringIn | None = Field(default=None, description="How often it is billed; null is once.")
    tiers: list[TierIn] = Field(default=[], max_length=100, description="Prices by quantity, smallest first.")
    tiers_mode: Literal["graduated", "volume"] | None = Field(
        default=None, description="Each unit by its own tier, or all by the last."
    )
    transform_quantity: TransformIn | None = Field(default=None, description="Of the quantity, before it is billed.")
    tax_behavior: TaxBehavior | None = Field(default=None, description="Whether taxes are in it.")
    nickname: ShortText | None = Field(default=None, description="What it is called among yourselves.")
    metadata: MetadataIn = Field(default={}, description="Names and values to be noted on it.")


class ChangePrice(RequestBody):
    """What is to change of a price: its amount never does."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"active": False}]})

    active: Flag | None = Field(default=None, description="Whether it can be sold; false archives it.")
    tax_behavior: TaxBehavior | None = Field(default=None, description="Whether taxes are in it.")
    nickname: ShortText | None = Field(default=None, description="What it is called among yourselves.")
    metadata: MetadataIn | None = Field(default=None, description="Names and values to be noted on it.")


class RecurringOut(BaseModel):
    """How often a price is billed."""

    interval: str = Field(description="`day`, `week`, `month` or `year`.")
    interval_count: int = Field(default=1, description="How many of it.")
    usage_type: str | None = Field(default=None, description="`licensed` or `metered`.")


class TierOut(BaseModel):
    """One tier of a price."""

    up_to: int | None = Field(description="So many units; null for all that follow.")
    unit_amount: str | None = Field(default=None, description="For each unit, in minor units, which may be fractions.")
    flat_amount: str | None = Field(default=None, description="For the tier, in minor units, which may be fractions.")


class TransformOut(BaseModel):
    """How the quantity is turned into what is billed."""

    divide_by: int = Field(description="Divided by this.")
    round: str = Field(description="`up` or `down`.")


class PriceOut(ObjectOut):
    """What a product costs."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.PRICE))

    product_id: str | None = Field(description="What it is the price of.")
    currency: str = Field(description="ISO 4217, in lower case.")
    active: bool | None = Field(default=None, description="Whether it can be sold.")
    unit_amount: str | None = Field(
        default=None, description="In minor units, which may be fractions: text, so that none is rounded."
    )
    recurring: RecurringOut | None = Field(default=None, description="How often it is billed; null is once.")
    billing_scheme: str | None = Field(default=None, description="`per_unit` or `tiered`.")
    type: str | None = Field(default=None, description="`one_time` or `recurring`.")
    tax_behavior: str | None = Field(default=None, description="Whether taxes are in it.")
    tiers: list[TierOut] = Field(default=[], description="Prices by quantity.")
    tiers_mode: str | None = Field(default=None, description="`graduated` or `volume`.")
    transform_quantity: TransformOut | None = Field(default=None, description="Of the quantity, before it is billed.")


class Prices(PageOfObjects):
    """Some prices."""

    items: list[PriceOut] = Field(description="Newest first.")
