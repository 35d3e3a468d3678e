"""Pages: Stripe's cursor pagination over anything that is numbered from oldest to newest."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

DEFAULT_LIMIT = 10
GREATEST_LIMIT = 100


class Numbered(Protocol):
    """Objects numbered 0, 1, 2, ... with `created` times that never decrease."""

    @property
    def count(self) -> int:
        """One past the greatest number in use."""
        ...

    def first_at_or_after(self, second: int) -> int:
        """Return the number of the oldest object created at or after a time; `count` if there is none."""
        ...

    def listed(self, number: int) -> bool:
        """Whether the object is there (not deleted, not yet hidden)."""
        ...


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What page is asked for: objects created in [created_from, created_before), Unix seconds, and a cursor.

    `starting_after` and `ending_before` are object numbers. With `oldest_first` the list runs from number 0 upwards
    (nested lists); else newest first.
    """

    limit: int = DEFAULT_LIMIT
    starting_after: int | None = None
    ending_before: int | None = None
    created_from: int | None = None
    created_before: int | None = None
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """The numbers of the objects on a page, in the order in which they are shown."""

    numbers: list[int]
    has_more: bool


def page(source: Numbered, request: PageRequest, matches: Callable[[int], bool] | None = None) -> Page:
    """Return a page of those objects of `source` that are listed and match.

    `has_more` says whether more follow in the direction of travel: after the page, or before it with `ending_before`.
    """
    low = 0 if request.created_from is None else source.first_at_or_after(request.created_from)
    high = source.count if request.created_before is None else source.first_at_or_after(request.created_before)
    upwards = request.oldest_first
    if request.starting_after is not None:
        if upwards:
            low = max(low, request.starting_after + 1)
        else:
            high = min(high, request.starting_after)
    if request.ending_before is not None:
        if upwards:
            high = min(high, request.ending_before)
        else:
            low = max(low, request.ending_before + 1)
        upwards = not upwards
    candidates = range(low, high) if upwards else range(high - 1, low - 1, -1)
    found: list[int] = []
    has_more = False
    for number in candidates:
        if source.listed(number) and (matches is None or matches(number)):
            if len(found) == request.limit:
                has_more = True
                break
            found.append(number)
    if request.ending_before is not None:
        found.reverse()
    return Page(found, has_more)
