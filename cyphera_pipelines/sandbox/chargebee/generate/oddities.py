"""Objects made awkward: what Chargebee may send and what breaks a careless reader; and what no reader can map."""

from collections.abc import Callable

from cyphera_pipelines.sandbox.chargebee.sites import Oddity
from cyphera_pipelines.sandbox.serialization import JsonObject

HUGE_AMOUNT = 9_000_000_000_000
"""Beyond 32 bits, within what JavaScript counts exactly."""
_TEXTS = {"customer": "company", "item": "description", "item_price": "description", "subscription": "po_number"}
_AMOUNTS = {"customer": "promotional_credits", "item_price": "price", "subscription": "mrr", "invoice": "total"}
_OPTIONAL = (
    "description", "meta_data", "metadata", "channel", "billing_address", "business_entity_id", "exchange_rate",
    "email", "net_term_days",
)  # fmt: skip


def _metadata_of(target: JsonObject) -> str:
    return "meta_data" if target["object"] in ("customer", "subscription") else "metadata"


def _nul_character(target: JsonObject) -> None:
    target[_TEXTS.get(target["object"], "po_number")] = "before\u0000after"
    target[_metadata_of(target)] = {"nul\u0000key": "nul\u0000value"}


def _lone_surrogate(target: JsonObject) -> None:
    target[_TEXTS.get(target["object"], "po_number")] = "broken \ud83d emoji"
    target[_metadata_of(target)] = {"half": "\ud83d"}


def _long_string(target: JsonObject) -> None:
    target[_TEXTS.get(target["object"], "po_number")] = "long " * 20_000


def _huge_amount(target: JsonObject) -> None:
    field = _AMOUNTS.get(target["object"])
    if field in target:
        target[field] = HUGE_AMOUNT


def _odd_metadata(target: JsonObject) -> None:
    target[_metadata_of(target)] = {
        "": "empty key",
        "a.b[c]": ["punctuation", {"nested": None}],
        "ключ 🔑": "עברית",
        "'; drop table customers; --": 'quo"te',
        "tab\t": "new\nline\\N",
        "number": 1.5,
    }


def _missing_fields(target: JsonObject) -> None:
    for field in _OPTIONAL:
        target.pop(field, None)


def _explicit_nulls(target: JsonObject) -> None:
    """Chargebee leaves absent fields out; a proxy in between, or another version, may not."""
    for field in ("description", "email", "phone", "po_number", "due_date", "unit"):
        target.setdefault(field, None)


MAKE_ODD: dict[Oddity, Callable[[JsonObject], None]] = {
    Oddity.NUL_CHARACTER: _nul_character,
    Oddity.LONE_SURROGATE: _lone_surrogate,
    Oddity.LONG_STRING: _long_string,
    Oddity.HUGE_AMOUNT: _huge_amount,
    Oddity.ODD_METADATA: _odd_metadata,
    Oddity.MISSING_FIELDS: _missing_fields,
    Oddity.EXPLICIT_NULLS: _explicit_nulls,
}


def _created_text(target: JsonObject) -> None:
    target["date" if target["object"] == "invoice" else "created_at"] = "yesterday"


def _id_missing(target: JsonObject) -> None:
    target.pop("id", None)


POISONS: dict[str, Callable[[JsonObject], None]] = {
    "created_text": _created_text,
    "id_missing": _id_missing,
    **{kind.value: change for kind, change in MAKE_ODD.items()},
}
"""What `poison` can do to one object, by name. The first two cannot be mapped to a row."""
