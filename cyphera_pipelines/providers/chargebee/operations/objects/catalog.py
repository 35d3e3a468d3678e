"""Items, which are products here, and item prices."""

from typing import Any

from cyphera_pipelines.providers.base import Price, PriceTier, Product, Recurring
from cyphera_pipelines.providers.chargebee.fields.catalog import SCHEMES, TIERED, is_flat
from cyphera_pipelines.providers.chargebee.operations.objects.fields import (
    currency_of,
    fields_of,
    metadata_of,
    unit_price,
)
from cyphera_pipelines.providers.mapping.answer_fields import AnswerFields


def to_product(obj: Any) -> Product:
    """The item in Chargebee's object. Raises ProviderError for what is none."""
    fields = fields_of(obj, "the item")
    return Product(
        id=fields.id(),
        name=fields.text("name"),
        description=fields.text("description"),
        active=_is_active(fields),
        type=fields.text("type"),
        unit_label=fields.text("unit"),
        shippable=fields.boolean("is_shippable"),
        metadata=metadata_of(fields, "metadata"),
    )


def to_price(obj: Any) -> Price:
    """The item price in Chargebee's object. Raises ProviderError for what is none."""
    fields = fields_of(obj, "the item price")
    currency, model, unit = currency_of(fields), fields.text("pricing_model") or "", fields.text("period_unit")
    return Price(
        id=fields.id(),
        product_id=fields.reference("item_id"),
        currency=currency,
        active=_is_active(fields),
        unit_amount=unit_price(fields, "price", currency),
        recurring=None if unit is None else Recurring(unit, fields.integer("period") or 1),
        billing_scheme=SCHEMES.get(model, model or None),
        type="one_time" if unit is None else "recurring",
        tiers=tuple(_to_tier(tier, model, currency) for tier in fields.each("tiers")),
        tiers_mode=TIERED.get(model),
        created=fields.moment("created_at"),
        metadata=metadata_of(fields, "metadata"),
    )


def _to_tier(fields: AnswerFields, model: str, currency: str) -> PriceTier:
    price = unit_price(fields, "price", currency)
    is_one_amount = is_flat({**fields.values, "pricing_model": model})
    return PriceTier(
        up_to=fields.integer("ending_unit"),
        unit_amount=None if is_one_amount else price,
        flat_amount=price if is_one_amount else None,
    )


def _is_active(fields: AnswerFields) -> bool | None:
    status = fields.text("status")
    return None if status is None else status == "active"
