import bisect
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyphera_pipelines.providers.base import Listed
from cyphera_pipelines.sync.concurrency import FEWEST_AT_ONCE, MOST_AT_ONCE
from cyphera_pipelines.sync.slices import Arrival, PageRequest, Slice, restore
from cyphera_pipelines.sync.slicing import SlicePlan

DAY = 86_400
NOW = 1_790_000_000
TWO_YEARS_AGO = NOW - 730 * DAY


@dataclass
class Provider:
    """Lists objects newest first, as Stripe does. Object number i has the id str(i)."""

    created: list[int]
    requests: int = 0
    deleted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.created.sort(reverse=True)
        self._ages = [-created for created in self.created]

    def page(self, request: PageRequest, size: int) -> tuple[list[Listed], bool]:
        self.requests += 1
        lt, gte = request.interval.lt, request.interval.gte
        first = 0 if lt is None else bisect.bisect_right(self._ages, -lt)
        end = len(self.created) if gte is None else bisect.bisect_right(self._ages, -gte)
        if request.cursor is not None:
            first = max(first, int(request.cursor) + 1)
        return [Listed(str(at), self.created[at]) for at in range(first, min(first + size, end))], first + size < end


@dataclass
class Run:
    """Workers that fetch pages at the same time, in an order of arrival that chance decides."""

    provider: Provider
    plan: SlicePlan
    workers: int
    chance: random.Random
    seen: list[str] = field(default_factory=list)
    arrived: list[Arrival] = field(default_factory=list)
    rounds: int = 0
    full_after_rounds: int | None = None

    def go(self, *, crash_after: int | None = None) -> list[dict[str, Any]]:
        """List to the end, or up to the so-manieth page; return what is left to do, as a checkpoint says it."""
        flying: list[tuple[PageRequest, list[Listed], bool]] = []
        checkpoint: list[dict[str, Any]] = self.plan.checkpoint_after([])
        pages = 0
        while True:
            while len(flying) < self.workers and (request := self.plan.take()) is not None:
                flying.append((request, *self.provider.page(request, self.plan.page_size)))
            if not flying:
                return checkpoint
            if len(flying) == self.workers and self.full_after_rounds is None:
                self.full_after_rounds = pages
            request, objects, has_more = flying.pop(self.chance.randrange(len(flying)))
            arrival = self.plan.arrived(request, objects, has_more=has_more)
            self.arrived.append(arrival)
            self.seen += [str(obj.id) for obj, counts in zip(objects, arrival.keep, strict=True) if counts]
            checkpoint = json.loads(json.dumps(self.plan.checkpoint_after([arrival])))
            self.plan.committed(arrival)
            pages += 1
            if crash_after is not None and pages >= crash_after:
                return checkpoint


def uniform(count: int, chance: random.Random) -> list[int]:
    return [chance.randrange(TWO_YEARS_AGO, NOW) for _ in range(count)]


def burst(count: int, chance: random.Random, at: int) -> list[int]:
    return [chance.randrange(at, at + 2 * DAY) if chance.random() < 0.8 else value for value in uniform(count, chance)]


SHAPES: dict[str, Callable[[int, random.Random], list[int]]] = {
    "uniform": uniform,
    "burst at the end": lambda count, chance: burst(count, chance, NOW - 2 * DAY),
    "burst in the middle": lambda count, chance: burst(count, chance, NOW - 400 * DAY),
    "burst at the beginning": lambda count, chance: burst(count, chance, TWO_YEARS_AGO),
    "all in one second": lambda count, _chance: [NOW - DAY] * count,
    "empty years": lambda count, chance: [
        chance.choice((0, 5 * 365 * DAY)) + value for value in (chance.randrange(DAY * 9) for _ in range(count))
    ],
}


def new_plan(created: list[int], page_size: int = 100, *, floor: int | None = None) -> SlicePlan:
    oldest = min(created, default=NOW)
    return SlicePlan([Slice()], oldest - DAY if floor is None else floor, max([NOW, *created]) + DAY, page_size)


@settings(max_examples=150)
@given(
    created=st.lists(st.integers(0, 40) | st.integers(0, 5_000) | st.just(7), max_size=160),
    page_size=st.integers(1, 7),
    workers=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    floor=st.sampled_from([0, -1_000, 2_500]),
)
def test_every_object_is_listed_exactly_once(
    created: list[int], page_size: int, workers: int, seed: int, floor: int
) -> None:
    provider = Provider(created)
    run = Run(provider, SlicePlan([Slice()], floor, 6_000, page_size), workers, random.Random(seed))
    assert run.go() == []
    assert sorted(run.seen, key=int) == [str(at) for at in range(len(created))]


@settings(max_examples=150)
@given(
    created=st.lists(st.integers(0, 40) | st.integers(0, 5_000), min_size=1, max_size=160),
    page_size=st.integers(1, 7),
    workers=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    crashes=st.lists(st.integers(1, 25), max_size=4),
)
def test_a_crash_at_any_page_repeats_and_loses_nothing(
    created: list[int], page_size: int, workers: int, seed: int, crashes: list[int]
) -> None:
    provider, chance = Provider(created), random.Random(seed)
    seen: list[str] = []
    slices = [Slice()]
    for crash_after in [*crashes, None]:
        run = Run(provider, SlicePlan(slices, 0, 6_000, page_size), workers, chance)
        left = run.go(crash_after=crash_after)
        seen += run.seen
        slices = restore(left)
        if not slices:
            break
    assert sorted(seen, key=int) == [str(at) for at in range(len(created))]


@settings(max_examples=150)
@given(
    created=st.lists(st.integers(0, 40) | st.integers(0, 5_000), max_size=160),
    page_size=st.integers(1, 7),
    workers=st.integers(1, 6),
    seed=st.integers(0, 10_000),
)
def test_what_pages_prove_covers_all_of_time_and_never_an_object_that_exists(
    created: list[int], page_size: int, workers: int, seed: int
) -> None:
    """An object that is gone would be found by exactly one page; one that exists is never taken for gone."""
    provider = Provider(created)
    run = Run(provider, SlicePlan([Slice()], 0, 6_000, page_size), workers, random.Random(seed))
    flying_pages: list[tuple[Arrival, list[Listed]]] = []
    plan_arrived = run.plan.arrived

    def remember(request: PageRequest, objects: list[Listed], *, has_more: bool) -> Arrival:
        arrival = plan_arrived(request, objects, has_more=has_more)
        flying_pages.append((arrival, objects))
        return arrival

    run.plan.arrived = remember  # type: ignore[method-assign, assignment]
    run.go()
    claims = []
    for arrival, objects in flying_pages:
        low = -1 if arrival.coverage.after is None else arrival.coverage.after
        high = 10_000 if arrival.coverage.until is None else arrival.coverage.until
        claims.append((low, high))
        here = {obj.id for obj in objects} | set(arrival.coverage.also)
        for at, moment in enumerate(provider.created):
            assert not (low < moment <= high) or str(at) in here
    for moment in range(5_001):
        assert sum(low < moment <= high for low, high in claims) == 1


@pytest.mark.parametrize(
    ("pages", "bound", "workers"), [(600, 1.10, FEWEST_AT_ONCE), (600, 1.10, MOST_AT_ONCE), (5_000, 1.03, MOST_AT_ONCE)]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_requests_stay_near_the_minimum(shape: str, pages: int, bound: float, workers: int) -> None:
    chance = random.Random(1)
    created = SHAPES[shape](pages * 100, chance)
    provider = Provider(created)
    run = Run(provider, new_plan(created), workers, chance)
    run.go()
    assert len(run.seen) == len(created)
    assert provider.requests <= bound * pages


@pytest.mark.parametrize("shape", SHAPES)
def test_an_unknown_beginning_costs_little_more(shape: str) -> None:
    chance = random.Random(2)
    created = SHAPES[shape](60_000, chance)
    provider = Provider(created)
    Run(provider, new_plan(created, floor=0), 8, chance).go()
    assert provider.requests <= 1.10 * 600


@pytest.mark.parametrize("shape", ["uniform", "burst at the end", "burst in the middle", "empty years"])
def test_all_workers_are_busy_after_a_few_pages(shape: str) -> None:
    """Eight workers at 100 ms a page: ten pages are within the first second."""
    chance = random.Random(3)
    created = SHAPES[shape](60_000, chance)
    run = Run(Provider(created), new_plan(created), 8, chance)
    run.go()
    assert run.full_after_rounds is not None
    assert run.full_after_rounds <= 10


@settings(max_examples=100)
@given(
    created=st.lists(st.integers(0, 5_000), max_size=120),
    page_size=st.integers(1, 7),
    seed=st.integers(0, 10_000),
)
def test_one_worker_lists_a_provider_without_order_whole_and_stops_believing_it(
    created: list[int], page_size: int, seed: int
) -> None:
    """It lists in an order of its own, but honours the interval and the cursor."""

    @dataclass
    class Unordered(Provider):
        def __post_init__(self) -> None:
            random.Random(seed).shuffle(self.created)

        def page(self, request: PageRequest, size: int) -> tuple[list[Listed], bool]:
            self.requests += 1
            low = -1 if request.interval.gte is None else request.interval.gte
            high = 10_000 if request.interval.lt is None else request.interval.lt
            first = 0 if request.cursor is None else int(request.cursor) + 1
            found = [at for at in range(first, len(self.created)) if low <= self.created[at] < high]
            return [Listed(str(at), self.created[at]) for at in found[:size]], len(found) > size

    provider = Unordered(created)
    run = Run(provider, SlicePlan([Slice()], 0, 6_000, page_size), 1, random.Random(seed))
    assert run.go() == []
    moments = [provider.created[int(object_id)] for object_id in run.seen]
    if moments != sorted(moments, reverse=True):
        assert run.arrived[-1].coverage.is_empty
    assert set(run.seen) == {str(at) for at in range(len(created))}


def test_a_lost_cursor_goes_on_by_time() -> None:
    plan = SlicePlan([Slice()], 0, 100, 2)
    first = plan.take()
    assert first is not None
    plan.committed(plan.arrived(first, [Listed("a", 9), Listed("b", 7)], has_more=True))
    second = plan.take()
    assert second is not None
    assert (second.cursor, second.interval.lt) == ("b", None)
    plan.lost_cursor(second)
    third = plan.take()
    assert third is not None
    assert (third.cursor, third.interval.lt) == (None, 8)


def test_a_crowded_second_is_written_down_in_short_and_proves_nothing_after_a_crash() -> None:
    created = [50] * 1_500 + [10] * 5
    provider, chance = Provider(created), random.Random(1)
    run = Run(provider, SlicePlan([Slice()], 0, 100, 100), 1, chance)
    left = run.go(crash_after=12)
    assert all(entry["ids"] is None or len(entry["ids"]) <= 1_000 for entry in left)
    resumed = Run(provider, SlicePlan(restore(left), 0, 100, 100), 1, chance)
    resumed.go()
    assert len(run.seen) + len(resumed.seen) == len(created)
    assert not any(
        (arrival.coverage.after or 0) < 50 <= (arrival.coverage.until or 100) for arrival in resumed.arrived[1:]
    )


def test_an_object_without_a_readable_time_does_not_stop_the_listing() -> None:
    plan = SlicePlan([Slice()], 0, 100, 1)
    request = plan.take()
    assert request is not None
    arrival = plan.arrived(request, [Listed("bad", None)], has_more=True)
    assert arrival.keep == (True,)
    following = plan.take()
    assert following is not None
    assert following.cursor == "bad"
