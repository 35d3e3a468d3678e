"""Lists that nobody can divide, and cursors that a provider makes itself: what is listed, and what it proves."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyphera_pipelines.providers.base import EndlessListError, Interval, Listed
from cyphera_pipelines.sync.slices import Arrival, PageRequest, Slice, restore
from cyphera_pipelines.sync.slicing import MOST_RESTARTS_OF_A_LANE, MOST_STORED_IDS_OF_A_LANE, SlicePlan


@dataclass
class Sorted:
    """Lists objects by their ids, and goes on after an id that it hides in its cursor."""

    ids: list[str]
    requests: list[PageRequest] = field(default_factory=list)

    def page(self, request: PageRequest, size: int) -> tuple[list[Listed], str | None]:
        self.requests.append(request)
        assert request.interval == Interval()
        after = "" if request.cursor is None else request.cursor.removeprefix("after ")
        found = [object_id for object_id in sorted(self.ids) if object_id > after]
        following = f"after {found[size - 1]}" if len(found) > size else None
        return [Listed(object_id, None) for object_id in found[:size]], following


def go(
    plan: SlicePlan, provider: Sorted, *, crash_after: int | None = None
) -> tuple[list[tuple[Arrival, list[str]]], list[dict[str, Any]]]:
    """What arrived, page by page, and what is left to do."""
    arrivals = list[tuple[Arrival, list[str]]]()
    left: list[dict[str, Any]] = plan.checkpoint_after([])
    while crash_after is None or len(arrivals) < crash_after:
        request = plan.take()
        if request is None:
            break
        assert plan.take() is None, "one page at a time"
        objects, following = provider.page(request, plan.page_size)
        believed = [plan.believed(request, each) for each in objects]
        arrival = plan.arrived(request, believed, has_more=following is not None, next_cursor=following)
        assert all(arrival.keep)
        arrivals.append((arrival, [str(each.id) for each in objects]))
        left = json.loads(json.dumps(plan.checkpoint_after([arrival])))
        plan.committed(arrival)
    return arrivals, left


def proven_gone(arrivals: list[tuple[Arrival, list[str]]], rows: set[str]) -> list[set[str]]:
    """The rows that each page proves to be gone, by the rule for lanes: one that covers the lane's one moment."""
    gone = list[set[str]]()
    for arrival, present in arrivals:
        covers = arrival.coverage
        is_all = covers.after is None and (covers.until is None or covers.until >= 0) and not covers.is_empty
        gone.append(rows - set(present) - set(covers.also) if is_all else set())
    return gone


@settings(max_examples=150)
@given(
    ids=st.sets(st.integers(0, 300), max_size=120),
    gone=st.sets(st.integers(301, 400), max_size=20),
    page_size=st.integers(1, 9),
    crashes=st.lists(st.integers(1, 30), max_size=4),
)
def test_a_lane_is_listed_once_and_its_end_proves_what_is_gone(
    ids: set[int], gone: set[int], page_size: int, crashes: list[int]
) -> None:
    provider = Sorted([f"{number:03}" for number in ids])
    rows = {*provider.ids, *(f"{number:03}" for number in gone)}
    slices, seen, claimed = [Slice()], list[str](), list[set[str]]()
    for crash_after in [*crashes, None]:
        arrivals, left = go(SlicePlan.lane(slices, page_size), provider, crash_after=crash_after)
        seen += [object_id for _, present in arrivals for object_id in present]
        claimed += proven_gone(arrivals, rows)
        slices = restore(left)
        if not slices:
            break
    assert sorted(seen) == sorted(provider.ids)
    assert set().union(*claimed) == rows - set(provider.ids)
    assert not any(claimed[:-1])


def test_a_lane_that_is_too_long_to_be_written_down_proves_nothing_in_another_process() -> None:
    provider = Sorted([f"{number:06}" for number in range(MOST_STORED_IDS_OF_A_LANE + 300)])
    rows = {*provider.ids, "gone"}
    whole, _ = go(SlicePlan.lane([Slice()], 100), provider)
    assert set().union(*proven_gone(whole, rows)) == {"gone"}

    begun, left = go(SlicePlan.lane([Slice()], 100), provider, crash_after=len(whole) - 1)
    assert left[0]["ids"] is None
    ended, _ = go(SlicePlan.lane(restore(left), 100), provider)
    assert [object_id for _, present in begun + ended for object_id in present] == provider.ids
    assert not any(proven_gone(begun + ended, rows))
    assert any(arrival.coverage.leaves_a_gap for arrival, _ in ended)


def test_a_lane_that_loses_its_cursor_begins_anew_and_comes_to_an_end() -> None:
    provider = Sorted(["a", "b", "c"])
    plan = SlicePlan.lane([Slice()], 1)
    go(plan, provider, crash_after=1)
    request = plan.take()
    assert request is not None
    assert request.cursor == "after a"
    plan.lost_cursor(request)
    arrivals, _ = go(plan, provider)
    assert [present for _, present in arrivals] == [["a"], ["b"], ["c"]]
    assert set().union(*proven_gone(arrivals, {"a", "b", "c", "gone"})) == {"gone"}


def test_a_lane_that_never_keeps_its_cursor_is_endless() -> None:
    plan, provider = SlicePlan.lane([Slice()], 1), Sorted(["a", "b"])

    def lose_the_cursor() -> None:
        go(plan, provider, crash_after=1)
        request = plan.take()
        assert request is not None
        plan.lost_cursor(request)

    for _ in range(MOST_RESTARTS_OF_A_LANE):
        lose_the_cursor()
    with pytest.raises(EndlessListError, match="begun anew"):
        lose_the_cursor()


def test_nobody_guesses_how_long_a_lane_is() -> None:
    plan = SlicePlan.lane([Slice()], 1)
    assert plan.objects_left(0) is None
    go(plan, Sorted(["a", "b"]), crash_after=1)
    assert plan.objects_left(1) is None
    go(plan, Sorted(["a", "b"]))
    assert plan.objects_left(2) == 0


@dataclass
class OwnCursors:
    """Lists newest first; its cursors go on in the very list for which they were made, and in no other."""

    created: list[int]
    requests: int = 0

    def page(self, request: PageRequest, size: int) -> tuple[list[Listed], str | None]:
        self.requests += 1
        low = -1 if request.interval.gte is None else request.interval.gte
        high = 10_000 if request.interval.lt is None else request.interval.lt
        first, made_for = 0, json.dumps([low, high])
        if request.cursor is not None:
            made, _, at = request.cursor.partition(" at ")
            assert made == made_for, "the cursor of another list"
            first = int(at)
        order = sorted(range(len(self.created)), key=lambda at: (-self.created[at], at))
        found = [at for at in order if low <= self.created[at] < high]
        has_more = len(found) > first + size
        return (
            [Listed(str(at), self.created[at]) for at in found[first : first + size]],
            f"{made_for} at {first + size}" if has_more else None,
        )


@settings(max_examples=200)
@given(
    created=st.lists(st.integers(0, 40) | st.integers(0, 5_000), max_size=160),
    page_size=st.integers(1, 7),
    workers=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    crashes=st.lists(st.integers(1, 25), max_size=3),
)
def test_cursors_of_the_providers_own_stay_with_the_list_that_they_are_of(
    created: list[int], page_size: int, workers: int, seed: int, crashes: list[int]
) -> None:
    """Also where the slice has been divided meanwhile, and where another process goes on."""
    provider, chance, seen, slices = OwnCursors(created), random.Random(seed), list[str](), [Slice()]
    for crash_after in [*crashes, None]:
        plan, pages = SlicePlan(slices, 0, 6_000, page_size), 0
        flying: list[tuple[PageRequest, list[Listed], str | None]] = []
        left = json.loads(json.dumps(plan.checkpoint_after([])))
        while crash_after is None or pages < crash_after:
            while len(flying) < workers and (request := plan.take()) is not None:
                flying.append((request, *provider.page(request, page_size)))
            if not flying:
                break
            request, objects, following = flying.pop(chance.randrange(len(flying)))
            believed = [plan.believed(request, each) for each in objects]
            arrival = plan.arrived(request, believed, has_more=following is not None, next_cursor=following)
            seen += [str(each.id) for each, counts in zip(objects, arrival.keep, strict=True) if counts]
            left = json.loads(json.dumps(plan.checkpoint_after([arrival])))
            plan.committed(arrival)
            pages += 1
        slices = restore(left)
        if not slices:
            break
    assert sorted(seen, key=int) == [str(at) for at in range(len(created))]
