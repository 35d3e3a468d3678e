"""How many requests somebody makes, and would like to make, at the limits of an account."""

import math
from dataclasses import dataclass

SHORTEST_MEMORY = 2.0
"""Seconds: what was asked for longer ago counts for less and less."""


@dataclass(frozen=True)
class Wanted:
    """Requests per second that somebody would make if nobody else used the limit: to read, and to write."""

    reads: float = 0.0
    writes: float = 0.0


class Demand:
    """Requests per second, lately, at one endpoint. Not safe for threads by itself.

    The memory is as long as the while that the provider counts by, `per_seconds`: what is written once in a minute is
    to find room in each minute.
    """

    def __init__(self, per_seconds: float) -> None:
        self._memory = max(SHORTEST_MEMORY, per_seconds)
        self._reads, self._writes = 0.0, 0.0
        self._as_of = float("-inf")

    def count(self, now: float, *, is_write: bool) -> None:
        """A request leaves now. Times are seconds of any steady clock."""
        self._fade(now)
        if is_write:
            self._writes += 1.0 / self._memory
        else:
            self._reads += 1.0 / self._memory

    def at(self, now: float) -> Wanted:
        """What has been made of late."""
        self._fade(now)
        return Wanted(self._reads, self._writes)

    def _fade(self, now: float) -> None:
        left = math.exp((self._as_of - now) / self._memory)
        self._reads, self._writes, self._as_of = self._reads * left, self._writes * left, now
