"""Products and prices."""

from decimal import Decimal
from typing import Any

from cyphera_pipelines.providers.base import Price, PriceTier, Product, Recurring, TransformQuantity
from cyphera_pipelines.providers.stripe.operations.objects.fields import Fields


def to_product(obj: Any) -> Product:
    """The product in Stripe's object. Raises ProviderError for what is none."""
    fields = Fields(obj, "the product")
    return Product(
        id=fields.id(),
        name=fields.text("name"),
        description=fields.text("description"),
        active=fields.boolean("active"),
        type=fields.text("type"),
        tax_code=fields.reference("tax_code"),
        unit_label=fields.text("unit_label"),
        shippable=fields.boolean("shippable"),
        created=fields.moment("created"),
        metadata=fields.metadata(),
    )


def to_price(obj: Any) -> Price:
    """The price in Stripe's object, with the tiers that it tells. Raises ProviderError for what is none."""
    fields = Fields(obj, "the price")
    recurring, transform = fields.inner("recurring"), fields.inner("transform_quantity")
    return Price(
        id=fields.id(),
        product_id=fields.reference("product"),
        currency=fields.required_currency(),
        active=fields.boolean("active"),
        unit_amount=_amount(fields, "unit_amount"),
        recurring=None
        if recurring is None
        else Recurring(
            interval=recurring.required_text("interval"),
            interval_count=recurring.integer("interval_count") or 1,
            usage_type=recurring.text("usage_type"),
        ),
        billing_scheme=fields.text("billing_scheme"),
        type=fields.text("type"),
        tax_behavior=fields.text("tax_behavior"),
        tiers=tuple(
            PriceTier(tier.integer("up_to"), _amount(tier, "unit_amount"), _amount(tier, "flat_amount"))
            for tier in fields.each("tiers")
        ),
        tiers_mode=fields.text("tiers_mode"),
        transform_quantity=None
        if transform is None
        else TransformQuantity(transform.amount("divide_by"), transform.required_text("round")),
        created=fields.moment("created"),
        metadata=fields.metadata(),
    )


def _amount(fields: Fields, name: str) -> Decimal | None:
    """An amount that may be a fraction: Stripe tells those in a field of their own."""
    exact = fields.decimal(f"{name}_decimal")
    return fields.decimal(name) if exact is None else exact
