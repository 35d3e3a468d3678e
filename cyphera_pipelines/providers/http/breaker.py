"""Whether the provider is out of order for everybody, so that requests need not each find that out for themselves."""

import threading


class Breaker:
    """Opens when a request was given up and the provider answered no other one meanwhile; any answer closes it.

    So one endpoint that is out of order does not open it while others answer. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers = 0
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Whether a request that fails now had better be given up than made again."""
        return self._is_open

    def begin(self) -> int:
        """A request begins. Return how many answers there were before it: to be told if it is given up."""
        return self._answers

    def answered(self) -> None:
        """The provider answered a request."""
        with self._lock:
            self._answers += 1
            self._is_open = False

    def gave_up(self, answers_before: int) -> None:
        """A request was given up after all its attempts, because no connection held or the provider was in trouble."""
        with self._lock:
            self._is_open = self._is_open or self._answers == answers_before
