from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.sync.limits.allowance import BURST_SECONDS, SPENDING, Allowance, Burst
from cyphera_pipelines.sync.limits.rate import LOWEST_RATE

RATES = st.floats(min_value=1, max_value=100)
GAPS = st.lists(st.floats(min_value=0, max_value=0.3), min_size=2, max_size=300)


def turns(allowance: Allowance, gaps: list[float]) -> list[float]:
    """When turns are taken by somebody who comes that much later each time, and then waits."""
    now, taken = 1_000.0, []
    for gap in gaps:
        now += gap
        now += allowance.seconds_left(now)
        allowance.take(now)
        taken.append(now)
    return taken


@given(rate=RATES, gaps=GAPS)
def test_no_second_holds_many_more_turns_than_the_rate(rate: float, gaps: list[float]) -> None:
    taken = turns(Allowance(rate, Burst()), gaps)
    for first in range(len(taken)):
        within = [turn for turn in taken[first:] if turn < taken[first] + 1.0]
        assert len(within) <= SPENDING * rate + 4 + 1e-6


@given(rate=RATES, gaps=GAPS)
def test_no_time_holds_more_turns_than_the_rate_and_the_burst(rate: float, gaps: list[float]) -> None:
    taken = turns(Allowance(rate, Burst()), gaps)
    assert len(taken) <= rate * (taken[-1] - taken[0]) + max(1.0, rate * BURST_SECONDS) + 1 + 1e-6


@given(rate=RATES, count=st.integers(min_value=100, max_value=400))
def test_whoever_is_always_there_gets_the_whole_rate_before_long(rate: float, count: int) -> None:
    taken = turns(Allowance(rate, Burst()), [0.0] * count)
    assert taken[-1] - taken[0] <= (count - 1) / rate + 0.1


@given(gaps=GAPS)
def test_without_any_burst_no_turn_follows_another_too_soon(gaps: list[float]) -> None:
    taken = turns(Allowance(25.0, Burst(requests=1.0, known_since=0.0)), gaps)
    assert all(later - earlier >= 1 / 25 for earlier, later in pairwise(taken))


def test_a_burst_is_learned_by_what_was_beyond_it_and_costs_no_rate() -> None:
    burst = Burst()
    allowance, now = Allowance(25.0, burst), 1_000.0
    while True:
        now += allowance.seconds_left(now)
        taken = allowance.take(now)
        if taken.spent > 6.0:
            break
    allowance.refused(taken, now + 0.1)
    assert burst.requests is not None
    assert 4.0 < burst.requests < 6.0
    assert allowance.rate_at(now + 0.1) == 25.0
    assert Allowance(25.0, burst).take(now).spent == 1.0


@given(answers=st.lists(st.tuples(st.floats(min_value=0, max_value=2), st.booleans()), max_size=200))
def test_the_rate_never_leaves_its_bounds_and_comes_back(answers: list[tuple[float, bool]]) -> None:
    allowance, now = Allowance(25.0, Burst(requests=1.0, known_since=0.0)), 1_000.0
    for gap, is_refused in [*answers, (1.0, False)]:
        now += gap + allowance.seconds_left(now)
        taken = allowance.take(now)
        if is_refused:
            allowance.refused(taken, now + 0.1)
        else:
            allowance.accepted(taken, now + 0.1)
        assert LOWEST_RATE <= allowance.rate_at(now + 0.1) <= 25.0
    assert allowance.rate_at(now + 1_000.0) == 25.0
