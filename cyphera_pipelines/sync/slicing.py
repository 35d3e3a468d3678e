"""Dividing a listing among workers: a pure planner, without any I/O.

Providers list newest first and go on from an opaque cursor, so that a listing can only be divided by a moment that they
can filter by: the entity's axis, as a rule its creation. A *slice* is a half-open interval of it. An idle worker takes
the older part of the slice with the most estimated work left; the owner's slice shrinks to the newer part. The owner's
page may be in flight meanwhile and reach into the older part: what it brings from there is left to the new slice, which
is paged by a cursor of its own and inherits none.

A single second cannot be divided: it is paged by cursor. The oldest slice has no lower end and the newest no upper one,
so that the slices of a listing always cover all of time.

An entity without an axis has one slice, a *lane*, in which every object counts as of one and the same moment: it is
never divided, and its last page proves what is gone, since it knows all ids of that moment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cyphera_pipelines.providers.base import EndlessListError, Interval, Listed
from cyphera_pipelines.sync.slices import Arrival, Coverage, PageRequest, Position, Slice, stored

PAGES_WORTH_DIVIDING = 2.0
"""A slice with less estimated work than this many pages is not divided: a slice costs about one request more."""

SHARE_TO_GUESS_FROM = 0.01
"""Of less than this share of the time nothing is concluded about the rest."""

MOST_PAGES_OF_ONE_MOMENT = 20_000
"""Two million objects that are not older than those before: no list has so many of one second."""

MOST_STORED_IDS = 1_000
"""A checkpoint names at most so many objects of the second that it stands in."""

MOST_STORED_IDS_OF_A_LANE = 10_000
"""The same of a lane, where it names all that was listed. A lane with more that is gone on with by another process
proves nothing of what is gone."""

MOST_RESTARTS_OF_A_LANE = 20
"""How often a lane may lose its cursor, and begin anew."""

MOMENT_OF_A_LANE = 0


@dataclass
class SlicePlan:
    """The slices of one entity's listing, and who does what next.

    `floor` and `ceiling` are guesses, in seconds since 1970, of the oldest and newest creation time; they only decide
    where to divide. What claims to be from before `oldest` or after `ceiling` is mistaken. Not safe for threads by
    itself.
    """

    slices: list[Slice]
    floor: int
    ceiling: int
    page_size: int = 100
    oldest: int = 0
    is_lane: bool = False

    @classmethod
    def lane(cls, slices: list[Slice], page_size: int) -> "SlicePlan":
        """The plan for an entity without an axis, of the one slice that there is."""
        return cls(slices, MOMENT_OF_A_LANE, MOMENT_OF_A_LANE, page_size, is_lane=True)

    def believed(self, request: PageRequest, listed: Listed) -> Listed:
        """The object without its moment where that cannot be right: it may still prove unmappable as a whole.

        A moment that was not asked for, or in which there was no provider or is none yet, is as good as none.
        """
        if self.is_lane:
            return Listed(listed.id, MOMENT_OF_A_LANE)
        moment, gte, lt = listed.moment, request.interval.gte, request.interval.lt
        if moment is None:
            return listed
        was_asked_for = (gte is None or moment >= gte) and (lt is None or moment < lt)
        return listed if was_asked_for and self.oldest <= moment <= self.ceiling else Listed(listed.id, None)

    def take(self) -> PageRequest | None:
        """The request that an idle worker should make now; None if there is none until a page arrives."""
        waiting = [part for part in self.slices if not part.is_busy and not part.is_exhausted]
        if waiting:
            return self._begin(max(waiting, key=self._pages_left))
        dividable = [part for part in self.slices if part.is_busy and self._can_divide(part)]
        if not dividable:
            return None
        return self._begin(self._divide(max(dividable, key=self._pages_left)))

    def arrived(
        self, request: PageRequest, objects: Sequence[Listed], *, has_more: bool, next_cursor: str | None = None
    ) -> Arrival:
        """Take note of a fetched page, listed newest first, and say which of its objects count.

        It goes on at `next_cursor` if the provider says so, else after its last object with an id. One object alone
        beyond the slice's end may be one with a wrong date: the page is not the last one for that. Raises
        EndlessListError.
        """
        part, before = request.part, request.part.fetched
        part.is_ordered = part.is_ordered and _are_newest_first(objects, before)
        # Out of order, dates do not tell to which slice an object belongs.
        keep = tuple(not part.is_ordered or not _is_beyond(obj.moment, part) for obj in objects)
        beyond = len(keep) - sum(keep)
        oldest = next(
            (
                obj.moment
                for obj, counts in zip(reversed(objects), reversed(keep), strict=True)
                if obj.moment is not None and counts
            ),
            None,
        )
        last_id = next((obj.id for obj in reversed(objects) if obj.id is not None), None)
        cursor, asked = (last_id, None) if next_cursor is None else (next_cursor, request.interval)
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
        of_second = [obj.id for obj in objects if obj.moment == reached and obj.id is not None]
        part.fetched = _advance(before, cursor, reached, of_second, asked)
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
        """The cursor's object is gone: go on by time, which lists the cursor's second once more, or a whole lane.

        Raises EndlessListError for a lane that loses its cursor again and again.
        """
        part = request.part
        part.is_busy = False
        part.cursors.clear()
        if self.is_lane:
            part.fetched, part.restarts = None, part.restarts + 1
            if part.restarts > MOST_RESTARTS_OF_A_LANE:
                raise EndlessListError("the list", f"it had to be begun anew {part.restarts} times")
        elif part.fetched is not None:
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
        has seen, which a crowded year misleads. The smaller of both is the better guess. Of a lane nobody knows how
        long it is.
        """
        if self.is_lane and not self.is_all_fetched:
            return None
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
                left.append(stored(part, part.committed, self._most_stored_ids))
            elif arrival.position is not None:
                left.append(stored(part, arrival.position, self._most_stored_ids))
        return left

    @property
    def _most_stored_ids(self) -> int:
        return MOST_STORED_IDS_OF_A_LANE if self.is_lane else MOST_STORED_IDS

    def _begin(self, part: Slice) -> PageRequest:
        part.is_busy = True
        if part.fetched is None:
            return PageRequest(part, part.interval, None)
        return PageRequest(part, part.fetched.asked or part.interval, part.fetched.cursor)

    def _divide(self, part: Slice) -> Slice:
        """Cut the part that is still to be fetched in the middle; the older half becomes a slice of its own."""
        middle = (self._low(part) + self._high(part)) // 2
        older = Slice(gte=part.gte, lt=middle, density=part.density)
        part.gte = middle
        self.slices.append(older)
        return older

    def _can_divide(self, part: Slice) -> bool:
        """Only a slice that has brought a page: what its older part holds is a guess, and a guess on it is none."""
        if self.is_lane:
            return False
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
        newest = next((obj.moment for obj in objects if obj.moment is not None), oldest)
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
    moments = [obj.moment for obj in objects if obj.moment is not None]
    if before is not None:
        moments.insert(0, before.created)
    return all(newer >= older for newer, older in pairwise(moments))


def _is_beyond(created: int | None, part: Slice) -> bool:
    """Whether an object is older than the slice reaches, which has been divided meanwhile."""
    return created is not None and part.gte is not None and created < part.gte


def _advance(
    before: Position | None, cursor: str, reached: int, of_second: list[str], asked: Interval | None
) -> Position:
    if before is None or before.created != reached:
        return Position(cursor, reached, of_second, len(of_second), asked)
    if before.ids is None:
        return Position(cursor, reached, None, 0, asked)
    before.ids.extend(of_second)
    return Position(cursor, reached, before.ids, len(before.ids), asked)
