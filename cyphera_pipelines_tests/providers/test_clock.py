import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.providers.http.clock import ProviderClock

SKEWS = st.floats(min_value=-150, max_value=250)
DELAYS = st.floats(min_value=0, max_value=100)
# Further than what is gone by, also when a busy machine takes a while between two lines here.
FAR = st.floats(min_value=400, max_value=1e9) | st.floats(min_value=-1e9, max_value=-301)


@given(st.lists(DELAYS, min_size=1, max_size=20), st.lists(FAR, max_size=5), SKEWS)
def test_it_is_never_ahead_of_the_provider_or_us_and_less_than_a_second_behind_its_best_answer(
    delays: list[float], lies: list[float], skew: float
) -> None:
    """However long each answer was on its way, and whatever else is told between them."""
    clock = ProviderClock()
    for lie in lies:
        clock.observe(formatdate(time.time() + lie, usegmt=True))
    for delay in delays:
        clock.observe(formatdate(int(time.time() + skew - delay), usegmt=True))
        assert clock.now() <= time.time() + min(skew, 0.0) + 1e-3
    ours = time.time()
    assert clock.now() > ours + min(skew - min(delays) - 1.1, 0.0) - 1e-3
    assert not clock.disagrees


@given(st.lists(FAR, min_size=1, max_size=5))
def test_times_that_are_far_from_ours_are_not_gone_by_and_told_once(lies: list[float]) -> None:
    told: list[float] = []
    clock = ProviderClock(told.append)
    for lie in lies:
        clock.observe(formatdate(time.time() + lie, usegmt=True))
    assert time.time() - 3 < clock.now() <= time.time() - 1.9
    assert clock.earliest() < time.time() - 86_400
    assert clock.disagrees
    assert not clock.believes(time.time() - 10_000)
    assert len(told) == 1


@pytest.mark.parametrize("header", [None, "", "yesterday", "Tue, 32 Foo 2026 25:00:00 GMT", "1790000000"])
def test_an_unreadable_date_teaches_nothing(header: str | None) -> None:
    clock = ProviderClock()
    clock.observe(header)
    assert time.time() - 3 < clock.now() <= time.time() - 1.9


@given(st.text(max_size=40))
def test_no_header_breaks_it(header: str) -> None:
    ProviderClock().observe(header)


def test_the_best_bound_is_kept() -> None:
    clock, now = ProviderClock(), time.time()
    clock.observe(formatdate(now - 20, usegmt=True))
    clock.observe(formatdate(now - 120, usegmt=True))
    assert now - 21 <= clock.now() < now + 60


def test_what_happens_later_than_in_some_minutes_is_not_believed() -> None:
    clock, now = ProviderClock(), time.time()
    clock.observe(formatdate(now, usegmt=True))
    assert [clock.believes(now + ahead) for ahead in (-(10**8), 200, 400, 10**8)] == [True, True, False, False]
