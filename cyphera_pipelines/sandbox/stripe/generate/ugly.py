"""Objects made awkward: what Stripe may send and what breaks a careless reader; and what no reader can map."""

from collections.abc import Callable

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.accounts import Ugliness

_TEXT_FIELDS = ("name", "nickname", "description")
_AMOUNT_FIELDS = {
    "customer": ("balance",),
    "price": ("unit_amount",),
    "invoice": ("amount_due", "amount_remaining", "subtotal", "total"),
}
_OPTIONAL_FIELDS = ("description", "metadata", "test_clock", "statement_descriptor", "default_payment_method")
HUGE_AMOUNT = 9_000_000_000_000
"""Beyond 32 bits, within what JavaScript counts exactly."""


def _text_field(target: JsonObject) -> str:
    return next((field for field in _TEXT_FIELDS if field in target), "description")


def _nul_character(target: JsonObject) -> None:
    target[_text_field(target)] = "before\u0000after"
    target["metadata"] = {**(target.get("metadata") or {}), "nul\u0000key": "nul\u0000value"}


def _lone_surrogate(target: JsonObject) -> None:
    target[_text_field(target)] = "broken \ud83d emoji"
    target["metadata"] = {**(target.get("metadata") or {}), "half": "\ud83d"}


def _long_string(target: JsonObject) -> None:
    target[_text_field(target)] = "long " * 20_000


def _huge_amount(target: JsonObject) -> None:
    for field in _AMOUNT_FIELDS.get(target["object"], ()):
        target[field] = HUGE_AMOUNT


def _odd_metadata(target: JsonObject) -> None:
    target["metadata"] = {
        "": "empty key",
        "a.b[c]": "punctuation",
        "ключ 🔑": "עברית",
        "'; drop table customers; --": 'quo"te',
        "tab\t": "new\nline\\N",
    }


def _null_fields(target: JsonObject) -> None:
    for field in (*_OPTIONAL_FIELDS, "email", "name" if target["object"] == "customer" else "nickname"):
        if field in target:
            target[field] = None


def _missing_fields(target: JsonObject) -> None:
    for field in _OPTIONAL_FIELDS:
        target.pop(field, None)


def _children(target: JsonObject) -> list[JsonObject]:
    for field in ("lines", "items"):
        if isinstance(target.get(field), dict):
            return list(target[field]["data"])
    return []


def _shared_child_id(target: JsonObject) -> None:
    """The first line or item has the id that the first one of every other such object has."""
    for child in _children(target)[:1]:
        child["id"] = f"{child['id'].partition('_')[0]}_1sharedByManyParents"


def _repeated_child_id(target: JsonObject) -> None:
    """The first two lines or items have one id. Where to go on after the tenth must stay clear."""
    children = _children(target)
    for child in children[1:2]:
        child["id"] = children[0]["id"]


MAKE_UGLY: dict[Ugliness, Callable[[JsonObject], None]] = {
    Ugliness.NUL_CHARACTER: _nul_character,
    Ugliness.LONE_SURROGATE: _lone_surrogate,
    Ugliness.LONG_STRING: _long_string,
    Ugliness.HUGE_AMOUNT: _huge_amount,
    Ugliness.ODD_METADATA: _odd_metadata,
    Ugliness.NULL_FIELDS: _null_fields,
    Ugliness.MISSING_FIELDS: _missing_fields,
    Ugliness.SHARED_CHILD_ID: _shared_child_id,
    Ugliness.REPEATED_CHILD_ID: _repeated_child_id,
}


def _created_null(target: JsonObject) -> None:
    target["created"] = None


def _created_text(target: JsonObject) -> None:
    target["created"] = "yesterday"


def _id_missing(target: JsonObject) -> None:
    target.pop("id", None)


POISONS: dict[str, Callable[[JsonObject], None]] = {
    "created_null": _created_null,
    "created_text": _created_text,
    "id_missing": _id_missing,
    **{kind.value: change for kind, change in MAKE_UGLY.items()},
}
"""What `poison` can do to one object, by name. The first three cannot be mapped to a row."""
