"""Dividing a listing among workers: a pure planner, without any I/O.

Providers list newest first and go on from an opaque cursor, so that a listing can only be divided by creation time. A
*slice* is a half-open interval of it. An idle worker takes the older part of the slice with the most estimated work
left; the owner's slice shrinks to the newer part. The owner's page may be in flight meanwhile and reach into the older
part: what it brings from there is left to the new slice, which is paged by a cursor of its own and inherits none.

A single second cannot be divided: it is paged by cursor. The oldest slice has no lower end and the newest no upper one,
so that the slices of a listing always cover all of time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from cyphera_pipelines.providers.base import CreatedInterval, EndlessListError

PAGES_WORTH_DIVIDING = 2.0
"""A slice with less estimated work than this many pages is not divided: a slice costs about one request more."""

SHARE_TO_GUESS_FROM = 0.01
"""Of less than this share of the time nothing is concluded about the rest."""

MOST_PAGES_OF_ONE_MOMENT = 20_000
"""Two million objects that are not older than those before: no list has so many of one second."""

MOST_STORED_IDS = 1_000
"""A checkpoint names at most so many objects of the second that it stands in."""


@dataclass(frozen=True)
class Position:
    """How far a slice has come: done is what is newer than `created`, and of that second the first `count` of `ids`.

    `cursor` is the last of those objects. Positions in the same second share the list and append to it. `ids` is None
    where an earlier process knew them and they were too many to write down.
    """

    cursor: str
    created: int
    ids: list[str] | None
    count: int

    @property
    def ids_of_second(self) -> list[str] | None:
        """What is done of the second `created`."""
        return None if self.ids is None else self.ids[: self.count]


@dataclass(eq=False)
class Slice:
    """The objects created in `[gte, lt)`.

    `is_ordered` turns false for good when a page shows that the provider does not list newest first after all: then
    the slice is paged to its end undivided, and proves nothing of what is gone.
    `fetched` is where the next page starts, `committed` is how far the tables are. `density` is in objects per second.
    `cursors` are where its pages ended, `pages_of_one_moment` how many in succession brought nothing older.
    """

    gte: int | None = None
    lt: int | None = None
    fetched: Position | None = None
    committed: Position | None = None
    density: float | None = None
    has_begun: bool = False
    arrivals: int = 0
    is_ordered: bool = True
    is_busy: bool = False
    is_exhausted: bool = False
    cursors: set[str] = field(default_factory=set)
    pages_of_one_moment: int = 0

    @property
    def interval(self) -> CreatedInterval:
        """What to ask the provider for."""
        return CreatedInterval(self.gte, self.lt)


@dataclass(frozen=True)
class PageRequest:
    """One page to fetch. `cursor` is None for the first page of a slice."""

    part: Slice
    interval: CreatedInterval
    cursor: str | None


@dataclass(frozen=True)
class Listed:
    """What the planner has to know of one listed object. `created` is None where it cannot be read."""

    id: str | None
    created: int | None


@dataclass(frozen=True)
class Coverage:
    """What a page proves about its slice: it holds every object created after `after` and up to `until`.

    `after` is exclusive and `until` inclusive; None is without bound. `also` are ids of the second `until` that earlier
    pages brought. Rows of that time that are neither on the page nor in `also` are gone at the provider. With
    `leaves_a_gap` it proves less than it should: of some time nobody will prove what is gone.
    """

    after: int | None
    until: int | None
    also: Sequence[str]
    leaves_a_gap: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it proves nothing: the page ends in the second in which it began."""
        return self.after is not None and self.until is not None and self.after >= self.until


@dataclass(frozen=True)
class Arrival:
    """A page that has come in, the so-manieth of its slice: which of its objects count, and what it proves.

    The others belong to an older slice.
    """

    part: Slice
    number: int
    keep: tuple[bool, ...]
    coverage: Coverage
    position: Position | None


@dataclass
class SlicePlan:
    """The slices of one entity's listing, and who does what next.

    `floor` and `ceiling` are guesses, in seconds since 1970, of the oldest and newest creation time; they only decide
    where to divide. Not safe for threads by itself.
    """

    slices: list[Slice]
    floor: int
    ceiling: int
    page_size: int = 100

    def take(self) -> PageRequest | None:
        """The request that an idle worker should make now; None if there is none until a page arrives."""
        waiting = [part for part in self.slices if not part.is_busy and not part.is_exhausted]
        if waiting:
            return self._begin(max(waiting, key=self._pages_left))
        dividable = [part for part in self.slices if part.is_busy and self._can_divide(part)]
        if not dividable:
            return None
        return self._begin(self._divide(max(dividable, key=self._pages_left)))

    def arrived(self, request: PageRequest, objects: Sequence[Listed], *, has_more: bool) -> Arrival:
        """Take note of a fetched page, listed newest first, and say which of its objects count.

        One object alone beyond the slice's end may be one with a wrong date: the page is not the last one for that.
        Raises EndlessListError.
        """
        part, before = request.part, request.part.fetched
        part.is_ordered = part.is_ordered and _are_newest_first(objects, before)
        # Out of order, dates do not tell to which slice an object belongs.
        keep = tuple(not part.is_ordered or not _is_beyond(obj.created, part) for obj in objects)
        beyond = len(keep) - sum(keep)
        oldest = next(
            (
                obj.created
                for obj, counts in zip(reversed(objects), reversed(keep), strict=True)
                if obj.created is not None and counts
            ),
            None,
        )
        cursor = next((obj.id for obj in reversed(objects) if obj.id is not None), None)
        is_past = beyond > 1
        ends = not has_more or cursor is None or is_past
        part.is_busy = False
        number, part.arrivals = part.arrivals, part.arrivals + 1
        if ends:
            part.is_exhausted = True
            after = None if part.gte is None else part.gte - 1
            return Arrival(part, number, keep, _coverage(part, before, after), None)
        assert cursor is not None, "a slice that goes on has a cursor"
        reached = self._high(part) if oldest is None or not part.is_ordered else oldest
        self._measure(part, objects, reached)
        self._expect_an_end(part, cursor, before, reached)
        of_second = [obj.id for obj in objects if obj.created == reached and obj.id is not None]
        part.fetched = _advance(before, cursor, reached, of_second)
        return Arrival(part, number, keep, _coverage(part, before, reached), part.fetched)

    def _expect_an_end(self, part: Slice, cursor: str, before: Position | None, reached: int) -> None:
        if cursor in part.cursors:
            raise EndlessListError("the list", f"the page that ends with {cursor} came twice")
        part.cursors.add(cursor)
        is_older = before is None or reached < before.created
        part.pages_of_one_moment = 1 if is_older else part.pages_of_one_moment + 1
        if part.pages_of_one_moment >= MOST_PAGES_OF_ONE_MOMENT:
            raise EndlessListError("the list", f"nothing on the last {part.pages_of_one_moment} pages is older")

    def lost_cursor(self, request: PageRequest) -> None:
        """The cursor's object is gone: go on by time, which lists the cursor's second once more."""
        part = request.part
        part.is_busy = False
        part.cursors.clear()
        if part.fetched is not None:
            part.lt, part.fetched = part.fetched.created + 1, None

    def committed(self, arrival: Arrival) -> None:
        """The page is in the tables. Pages of one slice have to be committed in the order in which they came."""
        if arrival.position is None:
            self.slices.remove(arrival.part)
        else:
            arrival.part.committed = arrival.position

    def objects_left(self, fetched: int) -> int | None:
        """A guess at how many objects are still to be fetched after so many; None while it would be a wild one.

        The slices guess from their last pages, which a crowded second misleads; the listing as a whole from all that it
        has seen, which a crowded year misleads. The smaller of both is the better guess.
        """
        going_on = [part for part in self.slices if not part.is_exhausted]
        share_left = sum(max(0, self._high(part) - self._low(part)) for part in going_on) / self._whole
        if share_left > 1.0 - SHARE_TO_GUESS_FROM:
            return None
        by_slice = sum(self._pages_left(part) for part in going_on) * self.page_size
        return round(min(by_slice, fetched * share_left / (1.0 - share_left)))

    @property
    def is_complete(self) -> bool:
        """Whether every page is in the tables."""
        return not self.slices

    @property
    def is_all_fetched(self) -> bool:
        """Whether there is nothing more to ask for."""
        return all(part.is_exhausted for part in self.slices)

    def checkpoint_after(self, arrivals: Iterable[Arrival]) -> list[dict[str, Any]]:
        """What would be left to do if these arrivals were committed too, in a form that JSON can hold."""
        latest = {id(arrival.part): arrival for arrival in arrivals}
        left = []
        for part in self.slices:
            arrival = latest.get(id(part))
            if arrival is None:
                left.append(_stored(part, part.committed))
            elif arrival.position is not None:
                left.append(_stored(part, arrival.position))
        return left

    def _begin(self, part: Slice) -> PageRequest:
        part.is_busy = True
        return PageRequest(part, part.interval, part.fetched.cursor if part.fetched else None)

    def _divide(self, part: Slice) -> Slice:
        """Cut the part that is still to be fetched in the middle; the older half becomes a slice of its own."""
        middle = (self._low(part) + self._high(part)) // 2
        older = Slice(gte=part.gte, lt=middle, density=part.density)
        part.gte = middle
        self.slices.append(older)
        return older

    def _can_divide(self, part: Slice) -> bool:
        """Only a slice that has brought a page: what its older part holds is a guess, and a guess on it is none."""
        is_worth_it = self._pages_left(part) >= PAGES_WORTH_DIVIDING and self._high(part) - self._low(part) >= 2
        return part.has_begun and part.is_ordered and is_worth_it

    def _pages_left(self, part: Slice) -> float:
        return max(0, self._high(part) - self._low(part)) * (part.density or 0.0) / self.page_size

    @property
    def _whole(self) -> int:
        return max(1, self.ceiling - self.floor)

    def _low(self, part: Slice) -> int:
        return self.floor if part.gte is None else part.gte

    def _high(self, part: Slice) -> int:
        """The newest moment of which the slice has not fetched everything, the page in flight left out of account."""
        if part.fetched is not None:
            return part.fetched.created
        return self.ceiling if part.lt is None else part.lt

    def _measure(self, part: Slice, objects: Sequence[Listed], oldest: int) -> None:
        """Objects per second in the page that has just come: the best guess for what lies beyond it."""
        newest = next((obj.created for obj in objects if obj.created is not None), oldest)
        part.density = len(objects) / max(1, newest - oldest)
        part.has_begun = True


def _coverage(part: Slice, before: Position | None, after: int | None) -> Coverage:
    """What a page proves that goes on from `before` (None: it is its slice's first) and reaches `after`."""
    if not part.is_ordered:
        return Coverage(0, 0, (), leaves_a_gap=True)
    if before is None:
        return Coverage(after, None if part.lt is None else part.lt - 1, ())
    if before.created == after:
        return Coverage(after, after, ())
    also = before.ids_of_second
    if also is None:
        return Coverage(after, before.created - 1, (), leaves_a_gap=True)
    return Coverage(after, before.created, also)


def _are_newest_first(objects: Sequence[Listed], before: Position | None) -> bool:
    moments = [obj.created for obj in objects if obj.created is not None]
    if before is not None:
        moments.insert(0, before.created)
    return all(newer >= older for newer, older in pairwise(moments))


def _is_beyond(created: int | None, part: Slice) -> bool:
    """Whether an object is older than the slice reaches, which has been divided meanwhile."""
    return created is not None and part.gte is not None and created < part.gte


def _advance(before: Position | None, cursor: str, reached: int, of_second: list[str]) -> Position:
    if before is None or before.created != reached:
        return Position(cursor, reached, of_second, len(of_second))
    if before.ids is None:
        return Position(cursor, reached, None, 0)
    before.ids.extend(of_second)
    return Position(cursor, reached, before.ids, len(before.ids))


def _stored(part: Slice, position: Position | None) -> dict[str, Any]:
    stored: dict[str, Any] = {"gte": part.gte, "lt": part.lt, "is_ordered": part.is_ordered}
    stored |= {"cursor": None, "created": None, "ids": []}
    if position is not None:
        is_known = position.ids is not None and position.count <= MOST_STORED_IDS
        stored |= {"cursor": position.cursor, "created": position.created}
        stored["ids"] = position.ids_of_second if is_known else None
    return stored


def restore(stored: Iterable[dict[str, Any]]) -> list[Slice]:
    """The slices that `SlicePlan.checkpoint_after` wrote down."""
    slices = []
    for entry in stored:
        position = None
        if entry["cursor"] is not None:
            ids = entry["ids"]
            position = Position(entry["cursor"], entry["created"], ids, len(ids or ()))
        part = Slice(entry["gte"], entry["lt"], fetched=position, committed=position)
        part.is_ordered = entry["is_ordered"]
        slices.append(part)
    return slices
