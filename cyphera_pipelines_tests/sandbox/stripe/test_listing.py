"""Pagination alone: any walk through the pages visits each matching object once, in order."""

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.sandbox.stripe.listing import PageRequest, page


class Numbered:
    def __init__(self, created: list[int], deleted: set[int]) -> None:
        self.created = created
        self.deleted = deleted

    @property
    def count(self) -> int:
        return len(self.created)

    def first_at_or_after(self, second: int) -> int:
        return bisect_left(self.created, second)

    def listed(self, number: int) -> bool:
        return number not in self.deleted


sources = st.builds(
    Numbered,
    st.lists(st.integers(0, 12), max_size=40).map(sorted),
    st.sets(st.integers(0, 39), max_size=10),
)
bounds = st.none() | st.integers(-1, 14)


def expected(source: Numbered, low: int | None, high: int | None, odd_only: bool) -> list[int]:
    numbers = [
        number
        for number, created in enumerate(source.created)
        if source.listed(number)
        and (low is None or created >= low)
        and (high is None or created < high)
        and (not odd_only or number % 2)
    ]
    return numbers[::-1]


@given(sources, bounds, bounds, st.integers(1, 15), st.booleans())
def test_walking_forwards_and_back_visits_each_object_once(
    source: Numbered, low: int | None, high: int | None, limit: int, odd_only: bool
) -> None:
    wanted = expected(source, low, high, odd_only)

    def matches(number: int) -> bool:
        return not odd_only or bool(number % 2)

    seen: list[int] = []
    cursor: int | None = None
    while True:
        request = PageRequest(limit, starting_after=cursor, created_from=low, created_before=high)
        found = page(source, request, matches)
        seen += found.numbers
        assert found.has_more == (len(seen) < len(wanted))
        if not found.has_more:
            break
        cursor = found.numbers[-1]
    assert seen == wanted

    back: list[int] = []
    if wanted:
        cursor = wanted[-1]
        while True:
            request = PageRequest(limit, ending_before=cursor, created_from=low, created_before=high)
            found = page(source, request, matches)
            back = found.numbers + back
            if not found.has_more:
                break
            cursor = found.numbers[0]
        assert back == wanted[:-1]


@given(st.integers(0, 30), st.integers(1, 12))
def test_nested_lists_run_from_the_first_element(count: int, limit: int) -> None:
    source = Numbered([0] * count, set())
    seen: list[int] = []
    cursor: int | None = None
    while True:
        found = page(source, PageRequest(limit, starting_after=cursor, oldest_first=True))
        seen += found.numbers
        if not found.has_more:
            break
        cursor = found.numbers[-1]
    assert seen == list(range(count))
