"""Products and prices at Stripe."""

from decimal import Decimal
from typing import Any

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    ListPage,
    ListParameters,
    NewPrice,
    ObjectKind,
    Operation,
    PreparedWrite,
    Price,
    PriceRequest,
    PriceTier,
    Product,
    ProductRequest,
    Told,
)
from cyphera_pipelines.providers.stripe.operations.listing import Reader, checked_id, path_of
from cyphera_pipelines.providers.stripe.operations.mark import checked_metadata, marked
from cyphera_pipelines.providers.stripe.operations.notes import by_absence, by_mark, by_state, told
from cyphera_pipelines.providers.stripe.operations.objects.catalog import to_price, to_product

PRODUCT_FILTERS = {"active": "active", "shippable": "shippable", "url": "url"}
PRICE_FILTERS = {
    "active": "active",
    "currency": "currency",
    "type": "type",
    "product_id": "product",
    "lookup_keys": "lookup_keys[]",
}
PRICE_EXPANSIONS = ("tiers", "currency_options")
"""What a price is asked with wherever it is kept: without these its tiers and other currencies are not told."""


class StripeCatalog:
    """See `CatalogOperations`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def create_product(self, request: ProductRequest) -> PreparedWrite:
        """See `CatalogOperations`."""
        if not request.name:
            raise InvalidInputError("A new product needs a name.")
        parameters = {**_product_parameters(request), "metadata": marked(request.metadata or {})}
        path, kind = path_of("products"), ObjectKind.PRODUCTS
        return PreparedWrite(kind, Operation.CREATE, None, "POST", path, parameters, finding=by_mark(path))

    def get_product(self, product_id: str) -> Told[Product]:
        """See `CatalogOperations`."""
        return self._reader.one("products", product_id, to_product)

    def update_product(self, product_id: str, request: ProductRequest) -> PreparedWrite:
        """See `CatalogOperations`."""
        parameters = _product_parameters(request)
        if request.metadata is not None:
            parameters["metadata"] = checked_metadata(request.metadata)
        path, kind = path_of("products", checked_id(product_id)), ObjectKind.PRODUCTS
        note = by_state(path, told(parameters), ["product.updated"])
        return PreparedWrite(kind, Operation.UPDATE, product_id, "POST", path, parameters, finding=note)

    def delete_product(self, product_id: str) -> PreparedWrite:
        """See `CatalogOperations`."""
        path, kind = path_of("products", checked_id(product_id)), ObjectKind.PRODUCTS
        return PreparedWrite(kind, Operation.DELETE, product_id, "DELETE", path, finding=by_absence(path))

    def list_products(self, parameters: ListParameters) -> ListPage[Product]:
        """See `CatalogOperations`."""
        path = path_of("products")
        return self._reader.page(path, "products", parameters, to_product, filters=PRODUCT_FILTERS, ids_name="ids")

    def create_price(self, request: NewPrice) -> PreparedWrite:
        """See `CatalogOperations`."""
        parameters: dict[str, Any] = {
            "product": checked_id(request.product_id),
            "currency": request.money.currency.lower(),
            "active": request.active,
            "metadata": marked(request.metadata),
            "expand": list(PRICE_EXPANSIONS),
        }
        if request.tiers:
            if request.tiers_mode is None:
                raise InvalidInputError("Tiers need a tiers_mode: graduated or volume.")
            parameters |= {
                "billing_scheme": "tiered",
                "tiers_mode": request.tiers_mode,
                "tiers": [_tier(tier) for tier in request.tiers],
            }
        else:
            parameters["unit_amount"] = request.money.amount
        if request.recurring is not None:
            recurring = {"interval": request.recurring.interval, "interval_count": request.recurring.interval_count}
            if request.recurring.usage_type is not None:
                recurring["usage_type"] = request.recurring.usage_type
            parameters["recurring"] = recurring
        if request.transform_quantity is not None:
            transform = request.transform_quantity
            parameters["transform_quantity"] = {"divide_by": transform.divide_by, "round": transform.round}
        for name, value in (("tax_behavior", request.tax_behavior), ("nickname", request.nickname)):
            if value is not None:
                parameters[name] = value
        path, kind = path_of("prices"), ObjectKind.PRICES
        note = by_mark(path, {"product": request.product_id}, expand=PRICE_EXPANSIONS)
        return PreparedWrite(kind, Operation.CREATE, None, "POST", path, parameters, finding=note)

    def get_price(self, price_id: str) -> Told[Price]:
        """See `CatalogOperations`."""
        return self._reader.one("prices", price_id, to_price, PRICE_EXPANSIONS)

    def update_price(self, price_id: str, request: PriceRequest) -> PreparedWrite:
        """See `CatalogOperations`."""
        named = {"active": request.active, "tax_behavior": request.tax_behavior, "nickname": request.nickname}
        parameters: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        if request.metadata is not None:
            parameters["metadata"] = checked_metadata(request.metadata)
        path, kind = path_of("prices", checked_id(price_id)), ObjectKind.PRICES
        note = by_state(path, told(parameters), ["price.updated"], expand=PRICE_EXPANSIONS)
        parameters["expand"] = list(PRICE_EXPANSIONS)
        return PreparedWrite(kind, Operation.UPDATE, price_id, "POST", path, parameters, finding=note)

    def list_prices(self, parameters: ListParameters, product_id: str | None = None) -> ListPage[Price]:
        """See `CatalogOperations`."""
        return self._reader.page(
            path_of("prices"),
            "prices",
            parameters,
            to_price,
            filters=PRICE_FILTERS,
            fixed={} if product_id is None else {"product": checked_id(product_id)},
            expand=PRICE_EXPANSIONS,
        )


def _product_parameters(request: ProductRequest) -> dict[str, Any]:
    named = {
        "name": request.name,
        "description": request.description,
        "active": request.active,
        "tax_code": request.tax_code,
        "unit_label": request.unit_label,
        "shippable": request.shippable,
    }
    return {name: value for name, value in named.items() if value is not None}


def _tier(tier: PriceTier) -> dict[str, Any]:
    if tier.unit_amount is None and tier.flat_amount is None:
        raise InvalidInputError("Each tier needs a unit_amount or a flat_amount.")
    parameters: dict[str, Any] = {"up_to": "inf" if tier.up_to is None else tier.up_to}
    for name, amount in (("unit_amount", tier.unit_amount), ("flat_amount", tier.flat_amount)):
        if amount is not None:
            parameters |= _amount(name, amount)
    return parameters


def _amount(name: str, amount: Decimal) -> dict[str, Any]:
    """Whole minor units go into one parameter, fractions of them into another, as a text."""
    return {name: int(amount)} if amount == amount.to_integral_value() else {f"{name}_decimal": format(amount, "f")}
