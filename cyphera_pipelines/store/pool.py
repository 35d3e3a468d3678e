"""A pool whose connections go to whoever has waited longest.

SQLAlchemy's own lets a thread that gives a connection back take it again before those that wait: where the merges of
five entities shared two connections, other threads waited for up to three seconds, the session's progress among them.
"""

import logging
import threading
from collections import deque
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

# SQLAlchemy tells of each pool's life under the name of its class: under ours that would be news for our readers.
logging.getLogger(__name__).setLevel(logging.WARNING)


class Turns:
    """As many at once as there are places; the others get theirs in the order in which they came."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    def take(self, timeout: float) -> bool:
        """Wait for a place, for so many seconds at most; whether it was given."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            given = threading.Event()
            self._waiting.append(given)
        if given.wait(timeout):
            return True
        with self._lock:
            if not given.is_set():
                self._waiting.remove(given)
            return given.is_set()

    def give_back(self) -> None:
        """Leave the place to whoever has waited longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1


class PoolInOrder(QueuePool):
    """A `QueuePool` without overflow, whose connections are given in the order in which they were asked for."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.turns = Turns(self.size())

    def _do_get(self) -> ConnectionPoolEntry:
        if not self.turns.take(self.timeout()):
            raise PoolTimeoutError(f"None of the pool's {self.size()} connections was free within {self.timeout():g} s")
        try:
            return super()._do_get()
        except BaseException:
            self.turns.give_back()
            raise

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        try:
            super()._do_return_conn(record)
        finally:
            self.turns.give_back()
