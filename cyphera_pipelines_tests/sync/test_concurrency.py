import pytest

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.sync.concurrency import FEWEST_AT_ONCE, MOST_AT_ONCE, MOST_IN_MEMORY, Concurrency

PUBLISHED = RateLimits(account=100, endpoint=25)


def after(*seconds: float, published: RateLimits = PUBLISHED) -> Concurrency:
    concurrency = Concurrency(published)
    for each in seconds:
        concurrency.observe(each)
    return concurrency


def test_nothing_is_known_at_first() -> None:
    assert (after().at_once, after().held) == (FEWEST_AT_ONCE, FEWEST_AT_ONCE + MOST_IN_MEMORY)


@pytest.mark.parametrize(("latency", "at_once"), [(0.001, 3), (0.1, 5), (0.3, 15), (0.48, 24), (3.0, 24)])
def test_slow_answers_take_more_at_once(latency: float, at_once: int) -> None:
    assert after(latency).at_once == at_once
    assert after(latency).at_once in range(FEWEST_AT_ONCE, MOST_AT_ONCE + 1)


def test_the_wait_for_a_turn_is_no_latency() -> None:
    assert after(0.1, 5.0, 0.2).at_once == after(0.1).at_once


def test_pages_in_memory_leave_room_for_those_on_their_way() -> None:
    assert after(0.4).held == after(0.4).at_once + MOST_IN_MEMORY


@pytest.mark.parametrize(
    ("published", "latency", "at_once"),
    [
        (RateLimits(account=150, endpoint=150, per_seconds=60.0), 0.4, FEWEST_AT_ONCE),
        (RateLimits(account=3_500, endpoint=3_500, per_seconds=60.0), 0.1, 12),
        (RateLimits(account=100, endpoint=100), 0.2, MOST_AT_ONCE),
        (RateLimits(account=3_500, endpoint=3_500, per_seconds=60.0, at_once=10), 0.2, 10),
        (RateLimits(account=150, endpoint=150, per_seconds=60.0, at_once=2), 0.4, 2),
    ],
)
def test_it_is_the_provider_that_says_how_many(published: RateLimits, latency: float, at_once: int) -> None:
    assert after(latency, published=published).at_once == at_once
