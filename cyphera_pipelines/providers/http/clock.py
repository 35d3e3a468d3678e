"""A provider's clock, as far as its responses tell it, and the order of what happens within one of its seconds.

Provider events carry whole seconds, listed objects no time at all. So that every order of arrival ends in the same
rows, an event of a second counts as later than what was read in that second (if the reading was the later one, an event
of its own follows), and an object that was fetched because of an event counts as later than that event.
"""

import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

from cyphera_pipelines.providers.base import BELIEVED_WITHIN

_UNKNOWN_CLOCK_MARGIN = 2.0
_DISAGREEING_CLOCK_MARGIN = 86_400.0


class ProviderClock:
    """A lower bound on the provider's clock.

    A response's `Date` was written before the response came in, and cut to the second: so the provider's clock is at
    least that date plus the time since. The best of all bounds seen is kept. Until a response was seen, the local clock
    less two seconds has to serve.

    It is never later than the local clock: a version that is too late keeps later states out, one that is too early
    only leaves them to the provider events that tell of them.

    A date that is `BELIEVED_WITHIN` or more away from the local clock is not believed. If all of them are, one of the
    two clocks is off (`disagrees`), and nobody can tell which: then only the local clock counts, so that what was read
    is compared by one and the same clock, though it be wrong. `on_disbelief` hears of dates that were not believed,
    once, with the seconds by which the first one was ahead.
    """

    def __init__(self, on_disbelief: Callable[[float], None] = lambda _ahead: None) -> None:
        self._on_disbelief = on_disbelief
        self._offset: float | None = None
        self._has_disbelieved = False

    def observe(self, date_header: str | None) -> None:
        """Learn from a response's `Date` header; a missing or unreadable one teaches nothing."""
        date = _seconds_of(date_header)
        if date is None:
            return
        ahead = date - time.time()
        if abs(ahead) >= BELIEVED_WITHIN:
            if not self._has_disbelieved:
                self._has_disbelieved = True
                self._on_disbelief(ahead)
            return
        offset = date - time.monotonic()
        if self._offset is None or offset > self._offset:
            self._offset = offset

    @property
    def disagrees(self) -> bool:
        """Whether every date that the provider gave is far from the local clock."""
        return self._offset is None and self._has_disbelieved

    def now(self) -> float:
        """The provider's clock shows this time or a later one, in seconds since 1970: for versions."""
        if self._offset is None:
            return time.time() - _UNKNOWN_CLOCK_MARGIN
        return min(self._offset + time.monotonic(), time.time())

    def earliest(self) -> float:
        """Like `now`, and a day earlier while the clocks disagree: for watermarks, which may be too early."""
        return self.now() - (_DISAGREEING_CLOCK_MARGIN if self.disagrees else 0.0)

    def believes(self, moment: float) -> bool:
        """Whether a provider event may have happened then: its order among others is known from it."""
        return not self.disagrees and moment <= time.time() + BELIEVED_WITHIN


def just_before(now: float) -> float:
    """The moment before the second in which it is `now`: the version of what is read now."""
    return int(now) - 0.001


def just_after(event_created: float) -> float:
    """A moment between the events of a second and those of the next: the version of what is fetched for the former."""
    return event_created + 0.5


def _seconds_of(date_header: str | None) -> float | None:
    try:
        date = parsedate_to_datetime(date_header or "")
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError, AttributeError):
        return None
