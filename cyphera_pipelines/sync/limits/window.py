"""What a limit still allows that counts requests by the minute, or any other while: as many at once as it lets through.

A request counts at the moment at which it reaches the provider, which lies between its leaving and its answer. So its
place is free again one window after its answer: then the provider has counted no more than the limit in any window,
whatever the network did, and an answer's time per window is all that this costs.
"""

from collections import deque

from cyphera_pipelines.sync.limits.allowance import Taken

LOOK_FOR_ANSWER = 0.02
"""Seconds after which somebody looks again who waits for a request that is on its way."""
GROWS_BY = 0.1
"""What is tried more in a window, as a share of the published limit, where a refusal had shown it to be lower."""
LEFT_TO_WRITES = 0.02
"""What reads leave of every window, and one request at least: for a write that nobody has told of, which would
otherwise wait until the window is over."""
FEWEST_BEFORE_PROBING, MOST_BEFORE_PROBING = 2, 16
"""Windows' worths of requests that get through before that: more each time that the limit proves to be still there."""


class Window:
    """At most so many requests in any such while. Not safe for threads by itself.

    `share` is the part of them that is ours, where other processes use the limit too, and for one request of ours there
    are `requests_of_all`. What is refused all the same shows that others do of whom we know nothing: then less is used,
    and after some while a little more is tried. Times are seconds of any steady clock.
    """

    def __init__(self, requests: float, seconds: float) -> None:
        if requests < 1.0:
            requests, seconds = 1.0, seconds / requests
        self.share = 1.0
        self.requests_of_all = 1.0
        self._published = float(int(requests))
        self._seconds = seconds
        self._most = self._published
        self._on_their_way = 0
        self._over = deque[float]()
        self._paused_until = float("-inf")
        self._corrected_at = float("-inf")
        self._before_probing = FEWEST_BEFORE_PROBING
        self._until_probing = 0.0

    def seconds_left(self, now: float, *, is_write: bool = False) -> float:
        """How long until the next turn may be taken; 0 if it may be now."""
        self._forget(now)
        paused = max(0.0, self._paused_until - now)
        own = int(self._most * self.share)
        left_to_writes = 0 if is_write else max(1, round(LEFT_TO_WRITES * own))
        too_many = self._used - max(1, own - left_to_writes) + 1
        if too_many <= 0:
            return paused
        if too_many > len(self._over):
            return max(paused, LOOK_FOR_ANSWER)
        return max(paused, self._over[too_many - 1] + self._seconds - now)

    def rate_at(self, _now: float) -> float:
        """Requests per second in the long run, whoever makes them."""
        return self._most / self._seconds

    def gap(self, _now: float) -> float:
        """Turns need not follow each other at a distance."""
        return 0.0

    def take(self, now: float) -> Taken:
        """Take a turn, which must be due."""
        self._forget(now)
        self._on_their_way += 1
        return Taken(now, float(self._used), is_spending=False)

    def ended(self, _taken: Taken, now: float) -> None:
        """The request of that turn was answered, or never will be."""
        self._on_their_way -= 1
        self._over.append(now)

    def accepted(self, taken: Taken, _now: float) -> None:
        """It got through."""
        if taken.at < self._corrected_at or self._most >= self._published:
            return
        self._until_probing -= 1.0
        if self._until_probing <= 0:
            self._most = min(self._published, self._most + GROWS_BY * self._published / self._most)

    def refused(self, taken: Taken, now: float) -> None:
        """It did not. Those that had left before this was known have the same cause."""
        if taken.at >= self._corrected_at:
            self._most = max(1.0, min(self._most, (taken.spent - 1.0) * self.requests_of_all))
            self._corrected_at = now
            self._until_probing = self._before_probing * self._most
            self._before_probing = min(MOST_BEFORE_PROBING, 2 * self._before_probing)

    def pause_until(self, moment: float) -> None:
        """Give no turn before."""
        self._paused_until = max(self._paused_until, moment)

    @property
    def _used(self) -> int:
        return self._on_their_way + len(self._over)

    def _forget(self, now: float) -> None:
        while self._over and self._over[0] + self._seconds <= now:
            self._over.popleft()
