"""How much is kept of what could not be loaded: whatever a provider sends, an event that names it can be written."""

import json
from dataclasses import dataclass
from typing import Any

from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.security.secrets import redact_values

MOST_CHARACTERS = 100_000
"""Of the JSON text of one object."""
DEEPEST = 60
"""Levels of nesting. What JSON parsers, serialisers and Postgres take differs, and is more than that everywhere."""
_TOO_DEEP = f"(left out: nested deeper than {DEEPEST} levels)"


@dataclass(frozen=True)
class Kept:
    """A JSON value as it was, or as much of it as is kept; `left_out` says in plain words what is not."""

    value: Any
    left_out: str | None = None


def keep(value: Any) -> Kept:
    """The value if its size allows it, or else the beginning of its JSON text; without what Postgres cannot hold."""
    shallow = cut_depth(value)
    # Secrets go before it is cut: half of one would not be recognised any more.
    kept = plain_json(redact_values(shallow))
    text = json.dumps(kept, ensure_ascii=False)
    if len(text) > MOST_CHARACTERS:
        return Kept(text[:MOST_CHARACTERS], f"all but the first {MOST_CHARACTERS:,} of {len(text):,} characters")
    return Kept(kept, None if shallow == value else f"what is nested deeper than {DEEPEST} levels")


def plain_json(value: Any) -> Any:
    """Whatever a provider sent, in a form that jsonb takes: numbers of any size, but NaN and infinities as texts."""
    return json.loads(json.dumps(storable(value), default=str), parse_constant=str)


def cut_depth(value: Any, levels: int = DEEPEST) -> Any:
    """The JSON value with a note in place of whatever is nested deeper than so many levels."""
    if not isinstance(value, dict | list | tuple):
        return value
    if not levels:
        return _TOO_DEEP
    if isinstance(value, dict):
        return {key: cut_depth(item, levels - 1) for key, item in value.items()}
    return [cut_depth(item, levels - 1) for item in value]
