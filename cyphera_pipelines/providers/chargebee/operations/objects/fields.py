"""What Chargebee's objects have in common: amounts in their currency, key-value pairs, custom fields."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.providers.base import ProviderError
from cyphera_pipelines.providers.chargebee.errors import PROVIDER
from cyphera_pipelines.providers.chargebee.money import decimal_to_minor, to_minor
from cyphera_pipelines.providers.mapping.answer_fields import AnswerFields


def fields_of(obj: Any, what: str) -> AnswerFields:
    """The object's fields. Raises ProviderError for what is no object."""
    return AnswerFields(obj, what, PROVIDER)


def currency_of(fields: AnswerFields) -> str:
    """The object's own currency, which it has to have, in lower case."""
    return fields.required_text("currency_code").lower()


def amount_of(fields: AnswerFields, name: str, currency: str) -> int | None:
    """An amount in our minor units."""
    told = fields.integer(name)
    return None if told is None else int(to_minor(told, currency))


def required_amount(fields: AnswerFields, name: str, currency: str) -> int:
    """An amount in our minor units that has to be there."""
    amount = amount_of(fields, name, currency)
    if amount is None:
        raise ProviderError(f"`{name}` is missing in {PROVIDER}'s answer.")
    return amount


def unit_price(fields: AnswerFields, name: str, currency: str) -> Decimal | None:
    """A price of one unit in our minor units, which may be a fraction."""
    text = fields.text(f"{name}_in_decimal")
    exact = None if text is None else decimal_to_minor(text, currency)
    if exact is not None:
        return Decimal(exact)
    whole = amount_of(fields, name, currency)
    return None if whole is None else Decimal(whole)


def metadata_of(fields: AnswerFields, name: str) -> dict[str, str]:
    """The key-value pairs, and the site's custom fields beside them, as texts."""
    kept = fields.values.get(name)
    pairs = dict(kept) if isinstance(kept, Mapping) else {}
    pairs |= {key: value for key, value in fields.values.items() if str(key).startswith("cf_")}
    return {
        str(storable(key)): str(storable(value)) if isinstance(value, str) else str(value)
        for key, value in pairs.items()
        if value is not None
    }
