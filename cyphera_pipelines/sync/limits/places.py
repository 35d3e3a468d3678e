"""How many requests may be on their way at once, learned from what the provider refuses for being too many."""

CUT = 0.8
"""What a refusal leaves of the number that was on its way."""
REQUESTS_PER_PLACE = 1_000
"""Requests that have to get through before one more is tried."""


class Places:
    """As many as are published, or any number, until the provider objects. Not safe for threads by itself.

    `share` is the part of them that is ours, where other processes use the account too.
    """

    def __init__(self, published: int | None = None) -> None:
        self.share = 1.0
        self._published = float("inf") if published is None else float(published)
        self._most: float | None = published
        self._taken = 0

    @property
    def is_one_free(self) -> bool:
        """Whether one more request may be on its way."""
        return self._most is None or self._taken < max(1, int(self._most * self.share))

    def take(self) -> int:
        """Take a place and return how many are taken now."""
        self._taken += 1
        return self._taken

    def give_back(self) -> None:
        """The request was answered."""
        self._taken -= 1

    def accepted(self) -> None:
        """A request got through."""
        if self._most is not None:
            self._most = min(self._published, self._most + 1.0 / REQUESTS_PER_PLACE)

    def refused(self, taken: int) -> None:
        """A request did not, which had been the so-manieth on its way."""
        fewer = max(1.0, CUT * taken / self.share)
        self._most = fewer if self._most is None else min(self._most, fewer)
