from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.providers.base import LimitScope
from cyphera_pipelines.sync.limits import BURST_SECONDS, LOWEST_RATE, AccountLimits, RateBucket, account_limits


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@given(
    rate=st.floats(min_value=1, max_value=100),
    gaps=st.lists(st.floats(min_value=0, max_value=0.3), min_size=2, max_size=300),
)
def test_no_second_holds_more_turns_than_the_rate_and_its_burst(rate: float, gaps: list[float]) -> None:
    bucket, now, turns = RateBucket(rate), 1_000.0, []
    for gap in gaps:
        now += gap
        turns.append(bucket.reserve(now))
    assert turns == sorted(turns)
    for first in range(len(turns)):
        within = [turn for turn in turns[first:] if turn < turns[first] + 1.0]
        assert len(within) <= rate * (1.0 + BURST_SECONDS) + 1 + 1e-6


@given(rate=st.floats(min_value=1, max_value=100), count=st.integers(min_value=10, max_value=400))
def test_a_busy_bucket_wastes_nothing(rate: float, count: int) -> None:
    bucket = RateBucket(rate)
    last = max(bucket.reserve(1_000.0) for _ in range(count))
    assert last - 1_000.0 <= (count - 1) / rate + 1e-6


@given(moments=st.lists(st.floats(min_value=0, max_value=50), max_size=60))
def test_the_rate_never_leaves_its_bounds_and_comes_back(moments: list[float]) -> None:
    bucket = RateBucket(25.0)
    for moment in sorted(moments):
        bucket.slow_down(1_000.0 + moment, pause=0.0)
        assert LOWEST_RATE <= bucket.rate_at(1_000.0 + moment) <= 25.0
    assert bucket.rate_at(1_000.0 + 50.0 + 21.0) == 25.0


def test_an_objection_halves_once_a_second_however_many_requests_it_hits() -> None:
    bucket = RateBucket(24.0)
    for number in range(10):
        bucket.slow_down(1_000.0 + number / 100, pause=0.0)
    assert 12.0 <= bucket.rate_at(1_000.1) < 12.5
    bucket.slow_down(1_001.1, pause=0.0)
    assert 6.0 <= bucket.rate_at(1_001.1) < 7.0


def test_retry_after_is_waited_for() -> None:
    clock = Clock()
    limits = AccountLimits(RateLimits(account=100, endpoint=25), clock)
    limits.slow_down("invoices", LimitScope.ENDPOINT, pause=3.0)
    assert limits.seconds_to_wait("invoices") >= 3.0
    assert limits.seconds_to_wait("customers") < 0.1


def test_an_objection_to_the_account_slows_every_endpoint() -> None:
    clock = Clock()
    limits = AccountLimits(RateLimits(account=100, endpoint=25), clock)
    limits.slow_down("invoices", LimitScope.ACCOUNT, pause=2.0)
    assert limits.seconds_to_wait("customers") >= 2.0
    assert limits.rate_of("products") == 25.0
    for _ in range(3):
        clock.now += 1.5
        limits.slow_down("invoices", LimitScope.ACCOUNT, pause=0.0)
    assert limits.rate_of("products") < 25.0


def test_a_queue_at_one_endpoint_does_not_hold_back_the_others() -> None:
    limits = AccountLimits(RateLimits(account=100, endpoint=25), Clock())
    for _ in range(50):
        limits.seconds_to_wait("invoices")
    assert limits.seconds_to_wait("customers") < 1.0


def test_all_who_call_an_account_share_its_buckets() -> None:
    published = RateLimits(account=25, endpoint=25)
    one = account_limits("sk_test_shared", "api.stripe.com", published)
    assert account_limits("sk_test_shared", "api.stripe.com", published) is one
    assert account_limits("sk_test_another", "api.stripe.com", published) is not one
    assert account_limits("sk_test_shared", "127.0.0.1:1", published) is not one
