"""How often a program that ends by itself is started again."""

from collections import deque
from dataclasses import dataclass, field

MOST = 5
WITHIN = 600.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


@dataclass
class Restarts:
    """The restarts of one program: few, and each of a series after a longer pause, so that a broken one is noticed."""

    _at: deque[float] = field(default_factory=deque)

    def pause(self, now: float) -> float | None:
        """Seconds to wait before the program is started again; None if it was too often within ten minutes."""
        while self._at and now - self._at[0] > WITHIN:
            self._at.popleft()
        if len(self._at) >= MOST:
            return None
        self._at.append(now)
        return min(FIRST_PAUSE * 2.0 ** (len(self._at) - 1), LONGEST_PAUSE)

    @property
    def count(self) -> int:
        """How many there were within the last ten minutes, as of the last one."""
        return len(self._at)
