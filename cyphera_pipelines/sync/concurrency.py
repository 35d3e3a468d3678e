"""How many of an entity's pages are on their way at once: as many as the provider's rate takes at its latency.

Too few leave the rate unused: with eight, a first load at 800 ms latency took 4.3 times as long as limits of 25 per
second allow. Too many cost requests, since each needs a slice of its own, and memory for the pages that then come
faster than they can be merged.
"""

import math

from cyphera_pipelines.model.limits import RateLimits

MARGIN = 2.0
"""Latency is measured by its least; requests take longer than that, and some wait for a slice to divide."""

FEWEST_AT_ONCE, MOST_AT_ONCE = 3, 24

MOST_IN_MEMORY = 11
"""Pages that may wait for their nested lists or for being merged. Those on their way may come on top of these: where
answers are slow, merging keeps up with them."""


class Concurrency:
    """What the answers so far say, and what the provider publishes. Not safe for threads by itself.

    A source that is allowed more than is published mostly answers soon: it needs no more.
    """

    def __init__(self, published: RateLimits) -> None:
        self._rate = published.endpoint_rate
        self._most = MOST_AT_ONCE if published.at_once is None else min(MOST_AT_ONCE, published.at_once)
        self._latency = 0.0
        self._is_known = False

    def observe(self, seconds: float) -> None:
        """An answer took so long, the wait for its turn included: the least of all is the provider's latency."""
        self._latency = min(self._latency, seconds) if self._is_known else seconds
        self._is_known = True

    @property
    def at_once(self) -> int:
        """How many pages to ask for at once."""
        needed = math.ceil(self._rate * self._latency * MARGIN)
        return min(self._most, max(FEWEST_AT_ONCE, needed))

    @property
    def held(self) -> int:
        """How many pages may have been asked for and not merged yet."""
        return MOST_IN_MEMORY + self.at_once
