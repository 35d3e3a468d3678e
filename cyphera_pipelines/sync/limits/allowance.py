"""What one of a provider's limits still allows: our picture of the token bucket that the provider keeps for it."""

from dataclasses import dataclass

from cyphera_pipelines.sync.limits.rate import LearnedRate

BURST_SECONDS = 4.0
"""How many seconds' worth of requests a limit may let through beyond its rate, as long as it has refused none."""
UNKNOWN_BURST = 5.0
"""Requests that are supposed to be let through beyond a rate that proves to be too high."""
RESERVE = 3.0
"""Requests of a burst that are left for those that arrive together although they left one by one."""
MARGIN = 1.0
"""Requests by which a burst is taken for smaller than it has proven to be."""

SAVING = 0.99
"""How fast to go while nothing of the burst may be used, as a share of the rate: at exactly the rate, every second
request comes a moment too early for a limit without any burst."""
FIRST_PACE, FASTER_PER_SECOND, SPENDING = 0.95, 0.05, 1.1
"""The same while something of it may: slower at first, until a limit without any burst would have told."""
CATCH_UP = 2.0
"""Turns that came late and may be made up for, out of the burst."""


@dataclass
class Burst:
    """How many requests beyond their rate the endpoints of an account let through: one knowledge for all of them.

    `requests` is None as long as nothing was refused; `known_since` is when it was learned last.
    """

    requests: float | None = None
    known_since: float = float("inf")

    def size(self, rate: float) -> float:
        """The burst of a limit of so many requests per second."""
        return max(1.0, rate * BURST_SECONDS) if self.requests is None else self.requests

    def was_too_much(self, requests: float, now: float) -> None:
        """The last of so many requests beyond the rate was refused."""
        known = requests if self.requests is None else self.requests
        self.requests = max(1.0, min(known, requests - MARGIN))
        self.known_since = now


@dataclass(frozen=True)
class Taken:
    """A turn that was taken `at` a moment, and whether the burst was being used then: `spent` requests of it."""

    at: float
    spent: float
    is_spending: bool


class Allowance:
    """Turns at the provider's rate, and somewhat faster while there is burst left. Not safe for threads by itself.

    A turn is taken when its request leaves, so that no request leaves too soon after a late one. `share` is the part of
    rate and burst that is ours, where other processes use the limit too, and for each request of ours there are
    `requests_of_all`. Times are seconds of any steady clock.
    """

    def __init__(self, published: float, burst: Burst) -> None:
        self.share = 1.0
        self.requests_of_all = 1.0
        self._published = published
        self._rate = LearnedRate(published)
        self._burst = burst
        self._spent = 0.0
        self._spent_as_of = 0.0
        self._next_turn = float("-inf")
        self._first_turn: float | None = None
        self._corrected_at = float("-inf")

    def seconds_left(self, now: float, *, is_write: bool = False) -> float:  # noqa: ARG002
        """How long until the next turn may be taken; 0 if it may be now. For a write that is soon enough, too."""
        return max(0.0, self._next_turn - now)

    def rate_at(self, now: float) -> float:
        """The present rate of the whole limit, in requests per second, whoever uses it."""
        return self._rate.at(now)

    def gap(self, now: float) -> float:
        """Seconds between two turns."""
        return 1.0 / (self._own_rate(now) * self._pace(now))

    def take(self, now: float) -> Taken:
        """Take a turn, which must be due."""
        if self._first_turn is None:
            self._first_turn = self._next_turn = now
        self._refill(now)
        gap, is_spending = self.gap(now), self._is_spending()
        made_up = max(0.0, min(CATCH_UP, self._own_burst() - self._spent - 1.0)) * gap
        self._next_turn = max(self._next_turn, now - made_up) + gap
        self._spent += 1.0
        return Taken(now, self._spent, is_spending)

    def ended(self, taken: Taken, now: float) -> None:
        """The request of that turn was answered, or never will be: a rate counts when requests leave, no more."""

    def accepted(self, taken: Taken, now: float) -> None:
        """The request of that turn got through."""
        knew_better = taken.at >= self._corrected_at
        self._rate.accepted(taken.at, now, knew_better=knew_better, stands_for=self.requests_of_all)

    def refused(self, taken: Taken, now: float) -> None:
        """It did not: the burst is smaller than we thought if we were trying its size, or else the rate is lower."""
        self._refill(now)
        if taken.is_spending and taken.at < self._burst.known_since:
            self._burst.was_too_much(taken.spent / self.share, now)
            if taken.at < self._corrected_at:
                return
        else:
            burst = self._burst.requests or UNKNOWN_BURST
            self._rate.refused(taken.at, now, burst=burst, stands_for=self.requests_of_all)
        self._corrected_at = now
        self._spent = self._own_burst()
        # Nothing is lost by waiting until a little is there again: it is kept for those that arrive together.
        self.pause_until(now + max(1.0, min(RESERVE, self._own_burst() / 2)) * self.gap(now))

    def pause_until(self, moment: float) -> None:
        """Give no turn before."""
        self._next_turn = max(self._next_turn, moment)

    def _own_rate(self, now: float) -> float:
        return self._rate.at(now) * self.share

    def _own_burst(self) -> float:
        return max(1.0, self._burst.size(self._published) * self.share)

    def _pace(self, now: float) -> float:
        if not self._is_spending():
            return SAVING
        since = 0.0 if self._first_turn is None else now - self._first_turn
        return min(SPENDING, FIRST_PACE + FASTER_PER_SECOND * since)

    def _is_spending(self) -> bool:
        burst = self._own_burst()
        return self._spent + 1.0 <= burst - min(RESERVE, burst / 2)

    def _refill(self, now: float) -> None:
        self._spent = max(0.0, self._spent - self._own_rate(now) * (now - self._spent_as_of))
        self._spent_as_of = now
