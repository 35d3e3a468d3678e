"""What a generated business is: how large it is, and how its data look. Everything that it has follows from these."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cyphera_pipelines.sandbox.business.timeline import CreatedDistribution

DEFAULT_NEWEST_CREATED = 1_790_812_800
"""2026-10-01T00:00:00Z. Fixed, so that the same seed gives the same data on any day."""

BASE_COLLECTIONS = ("customers", "products", "prices", "subscriptions", "invoices")
"""The collections that are generated; events come from changes."""


class Business(BaseModel):
    """A business that sells subscriptions. The same values give the same business at any provider.

    Some prices have amounts in `eur` and `gbp` too, tiered ones only with `tiered_options`;
    `foreign_currency_share` of the subscriptions to such prices are billed in `eur`.

    With `regular_bills` subscriptions are billed whole, once for each of their periods, as far as there are invoices
    for that; the others are for one thing each. Without, bills are of any subscription, and of its first items.

    `discount_share` of the subscriptions have a percentage off for ever, and so have their invoices. `coupon_share` of
    them have other discounts, beside that or instead: amounts, for a while, once, several, on an item, on one product
    only; `customer_discount_share` of the customers have one for all that has none. `proration_share` of the
    invoices of subscriptions have one line more, negative, for unused time; some then come to less than nothing.
    `credit_share` of the invoices begin with a credit of the customer's, and half as many have a credit note.
    `tax_rate_share` of the subscriptions have tax rates, and `tax_id_share` of the customers tax ids. All of these are
    nothing by default.

    `created` spreads each collection's creation over the `days` before `newest_created` (Unix seconds): `uniform`;
    `bursty` (80 % within two days); `one_second`; `gaps` (at least six years, most of them empty).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "Sandbox"
    seed: int = 1
    country: str = "US"
    default_currency: str = "usd"
    customers: int = Field(default=20, ge=0)
    products: int = Field(default=5, ge=0)
    prices: int = Field(default=12, ge=0)
    subscriptions: int = Field(default=15, ge=0)
    invoices: int = Field(default=50, ge=0)
    foreign_currency_share: float = Field(default=0.2, ge=0, le=1)
    tiered_options: bool = False
    long_invoice_share: float = Field(default=0.01, ge=0, le=1)
    large_subscription_share: float = Field(default=0.01, ge=0, le=1)
    regular_bills: bool = False
    discount_share: float = Field(default=0.0, ge=0, le=1)
    coupon_share: float = Field(default=0.0, ge=0, le=1)
    customer_discount_share: float = Field(default=0.0, ge=0, le=1)
    proration_share: float = Field(default=0.0, ge=0, le=1)
    credit_share: float = Field(default=0.0, ge=0, le=1)
    tax_rate_share: float = Field(default=0.0, ge=0, le=1)
    tax_id_share: float = Field(default=0.0, ge=0, le=1)
    created: CreatedDistribution = "uniform"
    days: int = Field(default=730, ge=1)
    newest_created: int = DEFAULT_NEWEST_CREATED

    @model_validator(mode="after")
    def _references_must_exist(self) -> Self:
        if self.prices and not self.products:
            raise ValueError("prices need at least one product")
        if self.subscriptions and not (self.prices and self.customers):
            raise ValueError("subscriptions need at least one price and one customer")
        if self.invoices and not (self.prices and self.customers):
            raise ValueError("invoices need at least one price and one customer")
        return self

    def size_of(self, collection: str) -> int:
        """How many objects of a base collection are generated."""
        size: int = getattr(self, collection)
        return size
