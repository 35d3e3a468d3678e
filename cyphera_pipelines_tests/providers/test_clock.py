import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.providers.stripe.clock import ProviderClock

SKEWS = st.floats(min_value=-1e6, max_value=1e6)
DELAYS = st.floats(min_value=0, max_value=100)


@given(st.lists(st.tuples(SKEWS, DELAYS), min_size=1, max_size=20), SKEWS)
def test_it_is_never_ahead_of_the_provider_and_less_than_a_second_behind_its_best_answer(
    answers: list[tuple[float, float]], skew: float
) -> None:
    """Whatever the local clock says, and however long each answer was on its way."""
    clock, start = ProviderClock(), time.monotonic()
    provider_at_start = 1_790_000_000 + skew

    def provider_now() -> float:
        return provider_at_start + (time.monotonic() - start)

    for _, delay in answers:
        clock.observe(formatdate(int(provider_now() - delay), usegmt=True))
        assert clock.now() <= provider_now() + 1e-6
    shortest = min(delay for _, delay in answers)
    assert clock.now() > provider_now() - shortest - 1.1


@pytest.mark.parametrize("header", [None, "", "yesterday", "Tue, 32 Foo 2026 25:00:00 GMT", "1790000000"])
def test_an_unreadable_date_teaches_nothing(header: str | None) -> None:
    clock = ProviderClock()
    clock.observe(header)
    assert time.time() - 3 < clock.now() <= time.time() - 1.9


@given(st.text(max_size=40))
def test_no_header_breaks_it(header: str) -> None:
    ProviderClock().observe(header)


def test_the_best_bound_is_kept() -> None:
    clock = ProviderClock()
    clock.observe(formatdate(2_000_000_000, usegmt=True))
    clock.observe(formatdate(1_999_999_000, usegmt=True))
    assert 2_000_000_000 <= clock.now() < 2_000_000_060
