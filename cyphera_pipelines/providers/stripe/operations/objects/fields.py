"""Taking the fields of a Stripe object one by one: what Stripe's objects have beside what any answer's have."""

from collections.abc import Mapping
from typing import Any, Self

from cyphera_pipelines.model.storable import is_usable_id, storable
from cyphera_pipelines.providers.mapping.answer_fields import AnswerFields
from cyphera_pipelines.providers.stripe.errors import PROVIDER
from cyphera_pipelines.providers.stripe.operations.mark import MARK


class Fields(AnswerFields):
    """See `AnswerFields`."""

    def __init__(self, value: Any, what: str, provider: str = PROVIDER) -> None:
        super().__init__(value, what, provider)

    def amount(self, name: str) -> int:
        """An amount in minor units that has to be there."""
        value = self.integer(name)
        return self._refuse(name, value, "a whole number") if value is None else value

    def currency(self, name: str = "currency") -> str | None:
        """A currency's code, in lower case."""
        value = self.text(name)
        return None if value is None else value.lower()

    def required_currency(self) -> str:
        """The object's own currency, which it has to have."""
        return self.required_text("currency").lower()

    def reference(self, name: str) -> str | None:
        """The id of what the field refers to: it holds the id, or the object itself where it was expanded."""
        value = self.values.get(name)
        if isinstance(value, Mapping):
            value = value.get("id")
        return value if value is None or is_usable_id(value) else self._refuse(name, value, "an id")

    def references(self, name: str) -> tuple[str, ...]:
        """The ids of a list of references."""
        found = self.values.get(name)
        if found is None:
            return ()
        if not isinstance(found, list):
            return self._refuse(name, found, "a list")
        ids = (each.get("id") if isinstance(each, Mapping) else each for each in found)
        return tuple(each if is_usable_id(each) else self._refuse(name, each, "a list of ids") for each in ids)

    def each(self, name: str) -> list[Self]:
        """The entries of a list, or of an embedded list of Stripe's; none where there is no list."""
        found = self.values.get(name)
        if isinstance(found, Mapping):
            entries = found.get("data")
            return type(self)({name: entries}, self._what).each(name)
        return super().each(name)

    def has_more(self, name: str) -> bool:
        """Whether an embedded list of Stripe's is only the beginning of it."""
        found = self.values.get(name)
        return isinstance(found, Mapping) and found.get("has_more") not in (None, False)

    def metadata(self) -> dict[str, str]:
        """The object's metadata, without our own mark."""
        found = self.values.get("metadata")
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            return self._refuse("metadata", found, "an object")
        return {
            str(storable(key)): str(storable(value)) if isinstance(value, str) else str(value)
            for key, value in found.items()
            if key != MARK and value is not None
        }
