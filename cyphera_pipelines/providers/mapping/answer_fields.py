"""Taking the fields of an answer's object one by one, each as what it should be: nothing in it can be relied on."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, Self

from cyphera_pipelines.model.storable import is_usable_id, storable
from cyphera_pipelines.providers.base import ProviderError

_INTEGER_BOUND = 2**63
_EARLIEST, _LATEST = -62135596800, 253402300799  # the years 1 to 9999
_MOST_SHOWN = 80


class AnswerFields:
    """One object's fields. `what` names it in errors, as in "the customer"; `provider` is the provider's title.

    Every method returns None for a field that is missing or null, and raises ProviderError, which names the field, for
    one that is something else than it should be.
    """

    def __init__(self, value: Any, what: str, provider: str) -> None:
        if not isinstance(value, Mapping):
            raise ProviderError(f"{provider}'s answer holds something that should be {what} and is no object.")
        self.values: Mapping[str, Any] = value
        self._what = what
        self._provider = provider

    def id(self) -> str:
        """The object's own id, which it has to have."""
        value = self.values.get("id")
        return value if is_usable_id(value) else self._refuse("id", value, "an id")

    def text(self, name: str) -> str | None:
        """A text."""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return None if value is None else str(storable(value))
        return self._refuse(name, value, "a text")

    def required_text(self, name: str) -> str:
        """A text that has to be there."""
        value = self.text(name)
        return self._refuse(name, value, "a text") if value is None else value

    def integer(self, name: str) -> int | None:
        """A whole number."""
        value = self.values.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < _INTEGER_BOUND):
            return value
        return self._refuse(name, value, "a whole number of 64 bits")

    def boolean(self, name: str) -> bool | None:
        """True or false, also where stand-ins for a provider write it as a text."""
        value = self.values.get(name)
        if isinstance(value, str) and value in ("true", "false"):
            return value == "true"
        return value if value is None or isinstance(value, bool) else self._refuse(name, value, "true or false")

    def decimal(self, name: str) -> Decimal | None:
        """A decimal number, which may be written as a text."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                number = Decimal(str(value))
            except InvalidOperation:
                return self._refuse(name, value, "a decimal number")
            if number.is_finite():
                return number
        return self._refuse(name, value, "a decimal number")

    def moment(self, name: str) -> datetime | None:
        """A moment, given in seconds since 1970."""
        seconds = self.integer(name)
        if seconds is None:
            return None
        if not _EARLIEST <= seconds <= _LATEST:
            return self._refuse(name, seconds, "a moment in seconds since 1970")
        return datetime.fromtimestamp(seconds, UTC)

    def reference(self, name: str) -> str | None:
        """The id of what the field refers to."""
        value = self.values.get(name)
        return value if value is None or is_usable_id(value) else self._refuse(name, value, "an id")

    def inner(self, *names: str) -> Self | None:
        """The object at the end of a path of nested fields; None where there is none, or a mere text."""
        value: Any = self.values
        for name in names:
            value = value.get(name)
            if value is None or isinstance(value, str):
                return None
            if not isinstance(value, Mapping):
                return self._refuse(name, value, "an object")
        return self._beneath(value, f"`{'.'.join(names)}` of {self._what}")

    def each(self, name: str) -> list[Self]:
        """The objects of a list; none where there is no list."""
        found = self.values.get(name)
        if found is None:
            return []
        if not isinstance(found, list):
            return self._refuse(name, found, "a list")
        return [self._beneath(entry, f"an entry of `{name}` of {self._what}") for entry in found]

    def _beneath(self, value: Any, what: str) -> Self:
        return type(self)(value, what, self._provider)

    def _refuse(self, name: str, value: Any, wanted: str) -> NoReturn:
        shown = "is missing" if value is None else f"should be {wanted}, not {repr(value)[:_MOST_SHOWN]}"
        raise ProviderError(f"`{name}` of {self._what} in {self._provider}'s answer {shown}.")
