"""Whose page is made into rows next: one page at a time in a process, of the entity that has the most left to do.

Python runs one thread at a time anyway. Where the pages of five entities are made into rows at once, they keep the
threads waiting that only have to send the next request; and those of the entity that will be done last come no sooner
than the others'.
"""

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ProcessingTurns:
    """Turns at what takes the processor. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, threading.Event]] = []

    @contextmanager
    def turn(self, left: float) -> Iterator[None]:
        """Wait for a turn: whoever has the most `left` to do is first, and of these who came first."""
        with self._lock:
            given = None if not self._is_taken else threading.Event()
            self._is_taken = True
            if given is not None:
                heapq.heappush(self._waiting, (-left, next(self._numbers), given))
        if given is not None:
            given.wait()
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    heapq.heappop(self._waiting)[2].set()
                else:
                    self._is_taken = False


PROCESSING = ProcessingTurns()
"""Those of this process."""
