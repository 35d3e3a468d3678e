"""Going through the pages of a list, which may be odd, and may have no end."""

from dataclasses import dataclass, field
from typing import Any

from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.base import EndlessListError, ProviderError

MOST_PAGES_OF_A_SHORT_LIST = 500
"""50,000 entries: no invoice has a tenth of as many lines."""
MOST_PAGES_OF_ONE_MOMENT = 1_000
"""100,000 entries without one that is older than those before: no account has so many events in one second."""


@dataclass
class Paging:
    """Where a list is that is read page by page. `is_short` is a list that can have no great number of entries."""

    operation: str
    is_short: bool
    _cursors: set[str] = field(default_factory=set)
    _pages: int = 0
    _oldest: int | None = None
    _pages_of_one_moment: int = 0

    def following(self, answer: dict[str, Any], entries: list[Any]) -> str | None:
        """After which entry the next page starts; None if this was the last one.

        Raises EndlessListError, and what `next_cursor` does.
        """
        cursor = next_cursor(answer, entries, self.operation)
        if cursor is None:
            return None
        self._pages += 1
        self._pages_of_one_moment += 1
        moments = [moment for moment in map(created_of, entries) if moment is not None]
        if moments and (self._oldest is None or min(moments) < self._oldest):
            self._oldest, self._pages_of_one_moment = min(moments), 1
        if cursor in self._cursors:
            raise EndlessListError(self.operation, f"the page that ends with {cursor} came twice")
        if self.is_short and self._pages >= MOST_PAGES_OF_A_SHORT_LIST:
            raise EndlessListError(self.operation, f"there are more than {self._pages} pages")
        if self._pages_of_one_moment >= MOST_PAGES_OF_ONE_MOMENT:
            raise EndlessListError(self.operation, f"nothing on the last {self._pages_of_one_moment} pages is older")
        self._cursors.add(cursor)
        return cursor


def next_cursor(answer: dict[str, Any], entries: list[Any], operation: str) -> str | None:
    """After which entry the next page starts: the last one with an id to go on from.

    Whoever does not plainly say whether there are more pages is asked for the next one, unless this one is empty. More
    pages without an id to go on from are an error: nothing is lost in silence.
    """
    has_more = answer.get("has_more")
    if has_more is None or has_more is False or (has_more is not True and not entries):
        return None
    cursor = next((entry_id for entry_id in map(id_of, reversed(entries)) if entry_id is not None), None)
    if cursor is None:
        raise ProviderError(f"Stripe says that {operation} has more pages, but nothing on this one has a usable id.")
    return cursor


def entries_of(answer: dict[str, Any], operation: str) -> list[Any]:
    """What is on the page. Raises ProviderError if that is no list."""
    data = answer.get("data")
    if not isinstance(data, list):
        raise ProviderError(f"Stripe's answer to {operation} is not a list.")
    return data


def created_of(entry: Any) -> int | None:
    """When the entry was created, in seconds since 1970; None if that cannot be read."""
    created = entry.get("created") if isinstance(entry, dict) else None
    return created if created.__class__ is int else None


def id_of(entry: Any) -> str | None:
    """The entry's id; None if it has none that could be one."""
    entry_id = entry.get("id") if isinstance(entry, dict) else None
    return entry_id if is_usable_id(entry_id) else None
