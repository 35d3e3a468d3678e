"""What a request asks for: the form in its body, with names such as `items[0][price]`, read and checked."""

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.errors import ProviderError, invalid_integer, unknown_parameters
from cyphera_pipelines.sandbox.stripe.query import boolean

MOST_METADATA = 50
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


def read_form(text: str) -> JsonObject:
    """Return the nested values of a form or a query. Raises ProviderError (400) for names that make no sense."""
    form: JsonObject = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        root, bracket, rest = name.partition("[")
        parts = [root, *_BRACKETS.findall(f"[{rest}")] if bracket else [root]
        place: Any = form
        for part in parts[:-1]:
            place = place.setdefault(part or str(len(place)), {})
            if not isinstance(place, dict):
                raise ProviderError(400, f"Invalid {root}: it is both a value and a list of values.", param=root)
        place[parts[-1] or str(len(place))] = value
    return form


def missing(param: str) -> ProviderError:
    """A parameter that has to be there is not."""
    return ProviderError(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


class Given:
    """The parameters at one level; `above` is what stands before their names in errors."""

    def __init__(self, values: Mapping[str, Any], above: str = "") -> None:
        self._values = values
        self._above = above

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def only(self, known: Collection[str]) -> None:
        """Raise ProviderError (400) if there are other parameters than these."""
        others = [self.named(name) for name in self._values if name not in known and name != "expand"]
        if others:
            raise unknown_parameters(others)

    def named(self, name: str) -> str:
        """The name of a parameter as it was sent."""
        return f"{self._above}[{name}]" if self._above else name

    def text(self, name: str) -> str | None:
        """A text; None where it is left out or empty, which clears it."""
        value = self._values.get(name)
        if isinstance(value, dict):
            raise ProviderError(400, f"Invalid string: {self.named(name)}", param=self.named(name))
        return value or None

    def required(self, name: str) -> str:
        """A text that has to be there."""
        value = self.text(name)
        if value is None:
            raise missing(self.named(name))
        return value

    def integer(self, name: str, least: int | None = None) -> int | None:
        """A whole number, not less than `least`."""
        value = self.text(name)
        if value is None:
            return None
        try:
            number = int(value)
        except ValueError:
            raise invalid_integer(value, self.named(name)) from None
        if least is not None and number < least:
            message = f"This value must be greater than or equal to {least}."
            raise ProviderError(400, message, code="parameter_invalid_integer", param=self.named(name))
        return number

    def boolean(self, name: str) -> bool | None:
        """True or false."""
        value = self.text(name)
        return None if value is None else boolean(value, self.named(name))

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """One of a few words."""
        value = self.text(name)
        if value is not None and value not in choices:
            listed = f"must be one of {', '.join(choices)}"
            raise ProviderError(400, f"Invalid {self.named(name)}: {listed}", param=self.named(name))
        return value

    def inner(self, name: str) -> "Given | None":
        """What is nested in a parameter."""
        value = self._values.get(name)
        return Given(value, self.named(name)) if isinstance(value, dict) else None

    def each(self, name: str) -> "list[Given]":
        """The entries of a list of objects."""
        value = self._values.get(name)
        entries = value if isinstance(value, dict) else {}
        return [Given(entry, f"{self.named(name)}[{at}]") for at, entry in entries.items() if isinstance(entry, dict)]

    def texts(self, name: str) -> list[str]:
        """The entries of a list of texts."""
        value = self._values.get(name)
        return [str(entry) for entry in value.values()] if isinstance(value, dict) else []

    def metadata(self, present: Mapping[str, str] | None = None) -> dict[str, str]:
        """The metadata afterwards: an empty value takes its key away, and `metadata` itself empty all of them."""
        given = self._values.get("metadata")
        if given is None:
            return dict(present or {})
        if not isinstance(given, dict):
            if given:
                raise ProviderError(400, "Invalid hash", param="metadata")
            return {}
        merged = {**(present or {}), **given}
        kept = {name: value for name, value in merged.items() if value}
        if len(kept) > MOST_METADATA:
            raise ProviderError(400, f"Metadata may have up to {MOST_METADATA} keys.", param="metadata")
        return kept
