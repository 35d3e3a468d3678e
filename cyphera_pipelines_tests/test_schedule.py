"""When a source is due: places on the clock that stay, and times of day."""

from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.model.schedule import (
    DAY,
    HOUR,
    LEAST_CHANGES_EVERY,
    MOST_CHANGES_EVERY,
    Schedule,
    in_words,
    length_in_words,
    offset_of,
)

MOMENTS = st.integers(1_000_000_000, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
EVERY = st.integers(LEAST_CHANGES_EVERY, MOST_CHANGES_EVERY)
OFFSETS = st.floats(0, 1, exclude_max=True)


@given(MOMENTS, EVERY, OFFSETS)
def test_next_is_later_by_no_more_than_a_period_and_then_by_whole_periods(
    after: datetime, every: int, offset: float
) -> None:
    schedule = Schedule(changes_every=every)
    first = schedule.next_changes(offset, after)
    assert after < first <= after + timedelta(seconds=every)
    assert schedule.next_changes(offset, first) == first + timedelta(seconds=every)


@given(MOMENTS, EVERY, OFFSETS, st.floats(0, 1, exclude_max=True))
def test_the_place_does_not_depend_on_when_it_is_asked_for(
    moment: datetime, every: int, offset: float, part: float
) -> None:
    schedule = Schedule(changes_every=every)
    due = schedule.next_changes(offset, moment)
    somewhen_before = due - timedelta(seconds=every) * (1 - part)
    assert schedule.next_changes(offset, somewhen_before) in (due, due + timedelta(seconds=every))
    assert (schedule.next_changes(offset, somewhen_before) - due).total_seconds() % every == 0


def test_offsets_are_spread_and_stay() -> None:
    one = UUID("6f1c0d5e-3c0b-4df6-9a53-0f0f7f5f8b11")
    assert offset_of(one, "stripe") == 0.48618448488374044
    assert offset_of(one, "stripe") == offset_of(UUID(str(one)), "stripe")
    assert offset_of(one, "stripe") != offset_of(one, "chargebee")
    minutes = [0] * 60
    for _ in range(10_000):
        minutes[int(offset_of(uuid4(), "stripe") * 60)] += 1
    assert max(minutes) < 1.5 * 10_000 / 60


@given(MOMENTS, OFFSETS, st.times().map(lambda at: at.replace(microsecond=0)))
def test_daily_is_once_a_day_at_that_time(after: datetime, offset: float, at: time) -> None:
    schedule = Schedule(daily_at=at, time_zone="Europe/Berlin")
    due = schedule.next_changes(offset, after)
    assert after < due <= after + timedelta(seconds=DAY + HOUR)
    assert timedelta(hours=22) < schedule.next_changes(offset, due) - due < timedelta(hours=26)


@pytest.mark.parametrize(
    ("after", "due"),
    [
        ("2026-03-28T12:00:00+00:00", "2026-03-29T01:30:00+00:00"),  # 02:30 is skipped: 03:30 in summer time
        ("2026-03-29T12:00:00+00:00", "2026-03-30T00:30:00+00:00"),
        ("2026-10-24T12:00:00+00:00", "2026-10-25T00:30:00+00:00"),  # 02:30 comes twice: the first
        ("2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"),  # and not the second
    ],
)
def test_days_on_which_clocks_are_changed(after: str, due: str) -> None:
    schedule = Schedule(daily_at=time(2, 30), time_zone="Europe/Berlin")
    assert schedule.next_changes(0.5, datetime.fromisoformat(after)) == datetime.fromisoformat(due)


@pytest.mark.parametrize(
    ("seconds", "words", "length"),
    [(60, "minute", "1 minute"), (0, "0 seconds", "0 seconds"), (7 * DAY, "7 days", "7 days")],
)
def test_lengths_are_told_in_words(seconds: int, words: str, length: str) -> None:
    assert (in_words(seconds), length_in_words(seconds)) == (words, length)


def test_listings_have_places_of_their_own() -> None:
    after = datetime(2026, 1, 1, tzinfo=UTC)
    first = Schedule().next_listing(0.25, after)
    assert Schedule().next_listing(0.25, first) - first == timedelta(days=7)
