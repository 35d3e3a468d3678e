"""Stripe's clock, as far as its responses tell it, and the order of what happens within one of its seconds.

Provider events carry whole seconds, listed objects no time at all. So that every order of arrival ends in the same
rows, an event of a second counts as later than what was read in that second (if the reading was the later one, an event
of its own follows), and an object that was fetched because of an event counts as later than that event.
"""

import time
from email.utils import parsedate_to_datetime

_UNKNOWN_CLOCK_MARGIN = 2.0


class ProviderClock:
    """A lower bound on the provider's clock.

    A response's `Date` was written before the response came in, and cut to the second: so the provider's clock is at
    least that date plus the time since. The best of all bounds seen is kept. Until a response was seen, the local clock
    less two seconds has to serve.
    """

    def __init__(self) -> None:
        self._offset: float | None = None

    def observe(self, date_header: str | None) -> None:
        """Learn from a response's `Date` header; a missing or unreadable one teaches nothing."""
        if not date_header:
            return
        try:
            offset = parsedate_to_datetime(date_header).timestamp() - time.monotonic()
        except ValueError:
            return
        if self._offset is None or offset > self._offset:
            self._offset = offset

    def now(self) -> float:
        """The provider's clock shows this time or a later one, in seconds since 1970."""
        if self._offset is None:
            return time.time() - _UNKNOWN_CLOCK_MARGIN
        return self._offset + time.monotonic()


def just_before(now: float) -> float:
    """The moment before the second in which it is `now`: the version of what is read now."""
    return int(now) - 0.001


def just_after(event_created: float) -> float:
    """A moment between the events of a second and those of the next: the version of what is fetched for the former."""
    return event_created + 0.5
