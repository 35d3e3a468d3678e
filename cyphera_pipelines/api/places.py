"""Places for requests: nobody may take all of them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from cyphera_pipelines.api.problems import too_many_requests

MOST_OF_ONE_KEY = 200
"""Requests of one API key that may be at work or waiting at once, in each of the server's processes."""


class KeyPlaces:
    """How many requests of each key are at work. For one event loop."""

    def __init__(self) -> None:
        self._at_work: Counter[bytes] = Counter()

    @contextmanager
    def take(self, digest: bytes) -> Iterator[None]:
        """A place for a request with the key of this digest, or ProblemError with status 429.

        By what was presented, not by the key's id: who only knows an id cannot take its holder's places.
        """
        if self._at_work[digest] >= MOST_OF_ONE_KEY:
            raise too_many_requests(
                f"This key has {MOST_OF_ONE_KEY} requests at work already. Wait for some of them to be answered."
            )
        self._at_work[digest] += 1
        try:
            yield
        finally:
            self._at_work[digest] -= 1
            if not self._at_work[digest]:
                del self._at_work[digest]
