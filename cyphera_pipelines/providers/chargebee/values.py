"""Functions that take one value out of a Chargebee object, or make it of several."""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from cyphera_pipelines.providers.chargebee.money import decimal_to_minor, to_minor
from cyphera_pipelines.providers.mapping.rules import Rule, derived
from cyphera_pipelines.providers.mapping.values import Getter, path

Json = dict[str, Any]
CURRENCY = "currency_code"
_FACTOR_NOTE = "in minor units, of currencies with three decimals ten times what Chargebee counts"


def lower(name: str) -> Rule:
    """A currency code in lower case."""

    def get(obj: Json) -> Any:
        value = obj.get(name)
        return value.lower() if isinstance(value, str) else value

    return derived(name, "in lower case", get)


def money(name: str) -> Rule:
    """An amount in the object's currency."""
    return derived(name, _FACTOR_NOTE, lambda obj: to_minor(obj.get(name), obj.get(CURRENCY)))


def whole_price(name: str) -> Rule:
    """A price of one unit: a whole number, which may stand as a text with decimals instead."""
    exact = _exact(name)

    def get(obj: Json) -> Any:
        told = obj.get(name)
        if told is not None:
            return to_minor(told, obj.get(CURRENCY))
        text = exact(obj)
        return int(text) if text is not None and "." not in text else None

    return derived(f"{name}, {name}_in_decimal", f"{_FACTOR_NOTE}; NULL for fractions of one", get)


def exact_price(name: str) -> Rule:
    """A price of one unit, with its decimals."""
    return derived(f"{name}_in_decimal, {name}", f"{_FACTOR_NOTE}, with decimals where the site has them", _exact(name))


def _exact(name: str) -> Getter:
    def get(obj: Json) -> Any:
        currency, text = obj.get(CURRENCY), obj.get(f"{name}_in_decimal")
        if text is None:
            return to_minor(obj.get(name), currency)
        in_minor = decimal_to_minor(text, currency)
        return text if in_minor is None else in_minor

    return get


def whole_number(name: str) -> Rule:
    """A number of units: a whole number, which may stand as a text with decimals instead."""

    def get(obj: Json) -> Any:
        told, text = obj.get(name), obj.get(f"{name}_in_decimal")
        if told is not None or not isinstance(text, str):
            return told
        try:
            number = Decimal(text)
            return int(number) if number == number.to_integral_value() and abs(number.adjusted()) < 30 else None
        except (InvalidOperation, ValueError, OverflowError):
            return None

    return derived(f"{name}, {name}_in_decimal", "NULL for parts of a unit", get)


def full_name(*place: str) -> Getter:
    """First and last name; the company's where there is neither."""
    get_owner = path(*place)

    def get(obj: Json) -> Any:
        owner = get_owner(obj)
        if not isinstance(owner, dict):
            return None
        names = [name for name in (owner.get("first_name"), owner.get("last_name")) if isinstance(name, str) and name]
        return " ".join(names) if names else owner.get("company")

    return get


def metadata(name: str) -> Rule:
    """The key-value pairs, and the site's custom fields beside them."""

    def get(obj: Json) -> Any:
        kept, custom = obj.get(name), {key: obj[key] for key in obj if key.startswith("cf_")}
        if kept is None:
            return custom
        # Whatever else it is stays what it is; a custom field of the same name is not lost.
        return kept | custom if isinstance(kept, dict) else {name: kept} | custom

    return derived(f"{name}, cf_*", "custom fields beside the key-value pairs", get)


def one_of(names: Mapping[str, Any]) -> Callable[[Any], Any]:
    """What a word of Chargebee's is here; a word that nobody knows stays what it is."""

    def translate(word: Any) -> Any:
        return names.get(word, word) if isinstance(word, str) else word

    return translate
