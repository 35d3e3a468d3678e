"""What was needed a moment ago and will be again."""

import time
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Up to `most` values, each for so many seconds. For one event loop."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, if it was kept and is not too old."""
        kept = self._values.get(key)
        if kept is None or time.monotonic() - kept[0] > self._seconds:
            return None
        return kept[1]

    def keep(self, key: K, value: V) -> None:
        """Keep the value; the one that was kept first makes room."""
        self._values.pop(key, None)
        self._values[key] = (time.monotonic(), value)
        while len(self._values) > self._most:
            self._values.popitem(last=False)

    def forget(self, key: K) -> None:
        """Keep it no more."""
        self._values.pop(key, None)
