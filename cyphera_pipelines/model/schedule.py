"""When a source's syncs start by themselves.

Every source has its own places on the clock: its offset is a hash of it, so that thousands of hourly sources are spread
over the hour, and stay where they are whatever is restarted.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from cyphera_pipelines.model.counted import counted

MINUTE, HOUR, DAY = 60, 3_600, 86_400

LEAST_CHANGES_EVERY, DEFAULT_CHANGES_EVERY, MOST_CHANGES_EVERY = 5 * MINUTE, HOUR, 7 * DAY
"""Seconds between two checks for changes."""

LEAST_LISTING_EVERY, DEFAULT_LISTING_EVERY, MOST_LISTING_EVERY = HOUR, 7 * DAY, 90 * DAY
"""Seconds between two listings of everything."""


class PauseKind(StrEnum):
    """Who or what paused a source. One that its rejected credentials paused goes on as soon as others are entered."""

    PERSON = "person"
    CREDENTIALS = "credentials"
    FAILURES = "failures"


@dataclass(frozen=True)
class Schedule:
    """How often a source's changes are applied, and everything is listed anew; all in seconds.

    `daily_at` is a time of day in the `time_zone`, an IANA name as in "Europe/Berlin": then changes are applied once a
    day, and `changes_every` counts for nothing.
    """

    changes_every: int = DEFAULT_CHANGES_EVERY
    listing_every: int = DEFAULT_LISTING_EVERY
    daily_at: time | None = None
    time_zone: str | None = None

    def __str__(self) -> str:
        """As in "every hour, everything every 7 days" or "daily at 02:30 Europe/Berlin, everything every 7 days"."""
        if self.daily_at is None:
            changes = f"every {in_words(self.changes_every)}"
        else:
            changes = f"daily at {self.daily_at:%H:%M} {self.time_zone}"
        # A listing takes the place of a check for changes. Older versions took a schedule that asks for more of them.
        return f"{changes}, everything every {in_words(max(self.listing_every, self.period))}"

    @property
    def period(self) -> int:
        """Seconds from one check to the next; of a day with a change of the clock an hour more or less."""
        return self.changes_every if self.daily_at is None else DAY

    def next_changes(self, offset: float, after: datetime) -> datetime:
        """When changes are due next: later than `after`, by less than a period and an hour."""
        if self.daily_at is None or self.time_zone is None:
            return _next_place(self.changes_every, offset, after)
        return _next_time_of_day(self.daily_at, ZoneInfo(self.time_zone), after)

    def next_listing(self, offset: float, after: datetime) -> datetime:
        """When the next listing is due: later than `after`, by no more than `listing_every`."""
        return _next_place(self.listing_every, offset, after)


def in_words(seconds: int) -> str:
    """What stands after "every", as in "15 minutes", "hour" or "7 days"."""
    return length_in_words(seconds).removeprefix("1 ")


def length_in_words(seconds: int) -> str:
    """As in "15 minutes", "1 hour" or "7 days"; in the largest unit that it is a whole number of."""
    units = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second"))
    length, name = next((unit for unit in units if seconds and seconds % unit[0] == 0), units[-1])
    return counted(seconds // length, name)


def offset_of(workspace_id: UUID, provider: str) -> float:
    """The source's place in every period, as a share of it: the same for ever, in [0, 1)."""
    digest = hashlib.sha256(f"{workspace_id}:{provider}".encode()).digest()
    # 53 bits: as many as a float has, so that it never becomes 1.
    return (int.from_bytes(digest[:8]) >> 11) / 2**53


def _next_place(every: int, offset: float, after: datetime) -> datetime:
    """The first moment later than `after` that lies `offset` into a period, counted from 1970."""
    seconds = after.timestamp()
    place = math.floor(offset * every)
    periods = math.floor((seconds - place) / every) + 1
    return datetime.fromtimestamp(periods * every + place, UTC)


def _next_time_of_day(at: time, zone: ZoneInfo, after: datetime) -> datetime:
    """The first moment later than `after` at which clocks there show the time.

    A time that a day skips is taken an hour later, one that a day has twice is the first of the two.
    """
    day = after.astimezone(zone).date()
    while True:
        moment = datetime.combine(day, at, zone).astimezone(UTC)
        if moment > after:
            return moment
        day += timedelta(days=1)
