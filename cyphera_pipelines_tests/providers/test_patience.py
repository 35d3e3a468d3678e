import pytest

from cyphera_pipelines.providers.base import RetryKind
from cyphera_pipelines.providers.http.patience import LONGEST_AFTER_RATE_LIMIT, Patience

LIMITED, GARBLED, LATE, LOST, TROUBLE = (
    RetryKind.RATE_LIMITED,
    RetryKind.BODY_UNREADABLE,
    RetryKind.ANSWER_LATE,
    RetryKind.CONNECTION_LOST,
    RetryKind.PROVIDER_ERROR,
)


def patience() -> Patience:
    return Patience(attempts=5, attempts_at_one_size=3, attempts_too_late=2, rate_limit_seconds=60.0, longest_wait=30.0)


def waits(kinds: list[RetryKind]) -> list[float | None]:
    one = patience()
    return [one.wait_after(kind, 0.0) for kind in kinds]


@pytest.mark.parametrize(
    "kinds",
    [
        [LOST] * 5,
        [TROUBLE] * 5,
        [LOST, TROUBLE, GARBLED, GARBLED, LOST],
        [GARBLED] * 3,
        [LATE] * 2,
        [LOST, LATE, GARBLED, LATE],
        [LOST, GARBLED, TROUBLE, GARBLED, GARBLED],
    ],
)
@pytest.mark.parametrize("rate_limits", [0, 1, 9])
def test_failures_are_counted_together_and_unreadable_bodies_by_themselves_too(
    kinds: list[RetryKind], rate_limits: int
) -> None:
    *before, last = waits([*[LIMITED] * rate_limits, *kinds])
    assert None not in before
    assert last is None


def test_waits_grow_with_their_own_count() -> None:
    assert waits([LIMITED, LIMITED, LOST, LIMITED, TROUBLE, GARBLED]) == [0.5, 1.0, 0.5, 2.0, 1.0, 2.0]


def test_no_wait_is_longer_than_the_bound() -> None:
    assert waits([LIMITED] * 2_000)[-1] == LONGEST_AFTER_RATE_LIMIT


def test_rate_limits_are_waited_out_for_so_many_seconds_from_the_first_one() -> None:
    one = patience()
    assert one.wait_after(LOST, 0.0) is not None
    assert one.wait_after(LIMITED, 1_000.0) is not None
    assert one.wait_after(LIMITED, 1_059.9) is not None
    assert one.wait_after(LIMITED, 1_060.0) is None


def test_without_patience_the_first_failure_of_either_sort_is_the_last() -> None:
    none = Patience(attempts=1, attempts_at_one_size=4, attempts_too_late=4, rate_limit_seconds=0.0, longest_wait=30.0)
    assert none.wait_after(LIMITED, 5.0) is None
    assert none.wait_after(LOST, 5.0) is None
