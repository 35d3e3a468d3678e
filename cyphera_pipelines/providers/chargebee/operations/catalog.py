"""Items, which are products here, and item prices at Chargebee."""

from decimal import Decimal
from typing import Any

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    THE_OBJECT,
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
    UnsupportedError,
)
from cyphera_pipelines.providers.chargebee.money import decimals_of, from_minor
from cyphera_pipelines.providers.chargebee.operations.naming import NEW_ID
from cyphera_pipelines.providers.chargebee.operations.notes import by_absence, by_id, by_state
from cyphera_pipelines.providers.chargebee.operations.objects.catalog import to_price, to_product
from cyphera_pipelines.providers.chargebee.operations.reading import NAME, Reader, checked_id, is_active, is_word
from cyphera_pipelines.providers.chargebee.transport import object_path

PRODUCT_FILTERS = {"active": is_active, "type": is_word("type")}
PRICE_FILTERS = {
    "active": is_active,
    "currency": lambda value: {"currency_code[is]": value.upper()},
}
THE_FAMILY = "{item family}"
"""Stands for the item family of new products, where the source names none: the first one there is."""
_PRODUCTS, _PRICES = ObjectKind.PRODUCTS, ObjectKind.PRICES
_ITEM, _ITEM_PRICE = ("items", "item"), ("item_prices", "item_price")


class ChargebeeCatalog:
    """See `CatalogOperations`. New products are plans; of the others, prices can be made too.

    `item_family` is the item family of new products; None is the first one there is.
    """

    def __init__(self, reader: Reader, item_family: str | None) -> None:
        self._reader = reader
        self._item_family = item_family

    def create_product(self, request: ProductRequest) -> PreparedWrite:
        """See `CatalogOperations`."""
        if not request.name:
            raise InvalidInputError("A new product needs a name.")
        parameters = {
            "id": NEW_ID,
            "type": "plan",
            "item_family_id": self._item_family or THE_FAMILY,
            **_product(request, Operation.CREATE),
        }
        then = (_archiving(_PRODUCTS, _ITEM),) if request.active is False else ()
        return PreparedWrite(
            _PRODUCTS, Operation.CREATE, None, "POST", "/items", parameters, finding=by_id(*_ITEM), then=then
        )

    def get_product(self, product_id: str) -> Told[Product]:
        """See `CatalogOperations`."""
        return self._reader.one(*_ITEM, product_id, to_product)

    def update_product(self, product_id: str, request: ProductRequest) -> PreparedWrite:
        """See `CatalogOperations`. What is written as metadata takes the place of all that was there."""
        parameters = _product(request, Operation.UPDATE)
        if request.active is not None:
            parameters["status"] = "active" if request.active else "archived"
        return _changing(_PRODUCTS, _ITEM, product_id, parameters)

    def delete_product(self, product_id: str) -> PreparedWrite:
        """See `CatalogOperations`."""
        path = f"{object_path('items', checked_id(product_id))}/delete"
        return PreparedWrite(_PRODUCTS, Operation.DELETE, product_id, "POST", path, finding=by_absence(*_ITEM))

    def list_products(self, parameters: ListParameters) -> ListPage[Product]:
        """See `CatalogOperations`."""
        return self._reader.page(_PRODUCTS, *_ITEM, parameters, to_product, axis=None, filters=PRODUCT_FILTERS)

    def create_price(self, request: NewPrice) -> PreparedWrite:
        """See `CatalogOperations`. Without a nickname it is named as its id, for names are unique."""
        for name, given in (("tax_behavior", request.tax_behavior), ("transform_quantity", request.transform_quantity)):
            if given is not None:
                raise UnsupportedError(NAME, _PRICES, Operation.CREATE, f"make a price with {name}")
        parameters: dict[str, Any] = {
            "id": NEW_ID,
            "name": request.nickname or NEW_ID,
            "item_id": checked_id(request.product_id),
            "currency_code": request.money.currency.upper(),
            **(_tiers(request) if request.tiers else _flat(request)),
        }
        if request.recurring is not None:
            if request.recurring.usage_type not in (None, "licensed"):
                raise UnsupportedError(NAME, _PRICES, Operation.CREATE, "make a metered price")
            parameters |= {"period": request.recurring.interval_count, "period_unit": request.recurring.interval}
        if request.metadata:
            parameters["metadata"] = dict(request.metadata)
        then = () if request.active else (_archiving(_PRICES, _ITEM_PRICE),)
        return PreparedWrite(
            _PRICES, Operation.CREATE, None, "POST", "/item_prices", parameters, finding=by_id(*_ITEM_PRICE), then=then
        )

    def get_price(self, price_id: str) -> Told[Price]:
        """See `CatalogOperations`."""
        return self._reader.one(*_ITEM_PRICE, price_id, to_price)

    def update_price(self, price_id: str, request: PriceRequest) -> PreparedWrite:
        """See `CatalogOperations`. What is written as metadata takes the place of all that was there."""
        if request.tax_behavior is not None:
            raise UnsupportedError(NAME, _PRICES, Operation.UPDATE, "change a price's tax_behavior")
        told = {
            "status": None if request.active is None else "active" if request.active else "archived",
            "name": request.nickname,
            "metadata": None if request.metadata is None else dict(request.metadata),
        }
        parameters = {name: value for name, value in told.items() if value is not None}
        return _changing(_PRICES, _ITEM_PRICE, price_id, parameters)

    def list_prices(self, parameters: ListParameters, product_id: str | None = None) -> ListPage[Price]:
        """See `CatalogOperations`."""
        of_product = {} if product_id is None else {"item_id[is]": checked_id(product_id)}
        return self._reader.page(
            _PRICES, *_ITEM_PRICE, parameters, to_price, axis=None, filters=PRICE_FILTERS, fixed=of_product
        )


def _product(request: ProductRequest, operation: Operation) -> dict[str, Any]:
    if request.tax_code is not None:
        raise UnsupportedError(NAME, _PRODUCTS, operation, "keep a product's tax_code: it is the prices', and")
    told = {
        "name": request.name,
        "description": request.description,
        "unit": request.unit_label,
        "is_shippable": request.shippable,
        "metadata": None if request.metadata is None else dict(request.metadata),
    }
    return {name: value for name, value in told.items() if value is not None}


def _changing(kind: ObjectKind, place: tuple[str, str], object_id: str, parameters: dict[str, Any]) -> PreparedWrite:
    if not parameters:
        raise InvalidInputError("Nothing is to change: name at least one field.")
    path, note = object_path(place[0], checked_id(object_id)), by_state(*place, **parameters)
    return PreparedWrite(kind, Operation.UPDATE, object_id, "POST", path, parameters, finding=note)


def _archiving(kind: ObjectKind, place: tuple[str, str]) -> PreparedWrite:
    path, archived = f"/{place[0]}/{THE_OBJECT}", {"status": "archived"}
    note = by_state(*place, **archived)
    return PreparedWrite(kind, Operation.UPDATE, THE_OBJECT, "POST", path, archived, finding=note)


def _flat(request: NewPrice) -> dict[str, Any]:
    model = "flat_fee" if request.recurring is None else "per_unit"
    return {"pricing_model": model, "price": chargebee_amount(request.money.amount, request.money.currency)}


def _tiers(request: NewPrice) -> dict[str, Any]:
    is_flat = [tier.flat_amount is not None for tier in request.tiers]
    has_unit_price = [tier.unit_amount is not None for tier in request.tiers]
    is_stairs = all(is_flat) and not any(has_unit_price)
    if not is_stairs and (any(is_flat) or not all(has_unit_price)):
        raise UnsupportedError(
            NAME, _PRICES, Operation.CREATE, "make tiers that cost both per unit and at once, or neither"
        )
    if is_stairs and request.tiers_mode != "volume":
        raise UnsupportedError(NAME, _PRICES, Operation.CREATE, "make graduated tiers of flat amounts")
    model = "stairstep" if is_stairs else "volume" if request.tiers_mode == "volume" else "tiered"
    tiers, begins = list[dict[str, Any]](), 1
    for tier in request.tiers:
        ends = {} if tier.up_to is None else {"ending_unit": tier.up_to}
        tiers.append({"starting_unit": begins, **ends, **_tier_price(tier, request.money.currency)})
        begins = (tier.up_to or 0) + 1
    return {"pricing_model": model, "tiers": tiers}


def _tier_price(tier: PriceTier, currency: str) -> dict[str, Any]:
    amount = tier.unit_amount if tier.unit_amount is not None else tier.flat_amount
    assert amount is not None, "tiers without a price were refused before"
    if amount == amount.to_integral_value():
        return {"price": chargebee_amount(int(amount), currency)}
    # Only sites with more decimals take these; others say so.
    return {"price_in_decimal": format(amount.scaleb(-decimals_of(currency)), "f")}


def chargebee_amount(amount: int, currency: str) -> int:
    """An amount of ours as Chargebee counts it. Raises InvalidInputError for one with more decimals than it has."""
    theirs = from_minor(amount, currency)
    if theirs is None:
        whole = Decimal(amount).scaleb(-decimals_of(currency))
        raise InvalidInputError(f"Chargebee counts {currency.upper()} in hundredths: {whole} has more decimals.")
    return theirs
