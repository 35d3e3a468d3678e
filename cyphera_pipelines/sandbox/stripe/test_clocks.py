"""Test clocks: groups of customers that live in a time of their own, with their subscriptions."""

from collections.abc import Mapping

from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes
from cyphera_pipelines.sandbox.stripe.accounts import SandboxAccount
from cyphera_pipelines.sandbox.stripe.collection import Collection

LEFT_OUT_OF = ("customers", "subscriptions")
"""The lists that leave out what belongs to a test clock, unless they are asked for it."""


class ClockList:
    """The test clocks of one account, as lists need it: those that some listed customer or subscription belongs to."""

    def __init__(self, account: SandboxAccount, collections: Mapping[str, Collection]) -> None:
        self._account = account
        self._ids = sorted(
            {
                clock
                for collection in (collections[name] for name in LEFT_OUT_OF)
                if collection.has_test_clocks
                for number in range(collection.count)
                if collection.listed(number) and isinstance(clock := collection.facts(number).get("test_clock"), str)
            }
        )
        self.count = len(self._ids)

    def first_at_or_after(self, second: int) -> int:
        """Test clocks are not filtered by time."""
        raise TypeError(f"the list of test clocks has no place for the second {second}")

    def listed(self, number: int) -> bool:
        """All of them are there."""
        return 0 <= number < self.count

    def number_of(self, identifier: str) -> int | None:
        """Return the number of a test clock; None if there is none of this id."""
        return self._ids.index(identifier) if identifier in self._ids else None

    def whole(self, number: int) -> JsonObject:
        """Return a test clock."""
        return test_clock(self._ids[number], self._account)

    shown = whole

    def body(self, number: int) -> bytes:
        """Return a test clock as JSON."""
        return to_bytes(self.whole(number))

    def facts(self, number: int) -> JsonObject:
        """Test clocks are not filtered."""
        return self.whole(number)


def test_clock(identifier: str, account: SandboxAccount) -> JsonObject:
    """Return the object."""
    return {
        "id": identifier,
        "object": "test_helpers.test_clock",
        "created": account.newest_created,
        "deletes_after": account.newest_created + 30 * 86_400,
        "frozen_time": account.newest_created,
        "livemode": False,
        "name": None,
        "status": "ready",
        "status_details": {},
    }
