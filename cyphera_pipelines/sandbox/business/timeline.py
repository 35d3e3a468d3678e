"""When objects were created: a time for each number, never decreasing, without a list of times."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Literal

CreatedDistribution = Literal["uniform", "bursty", "one_second", "gaps"]
DAY = 86_400
MONTH = 30 * DAY
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1

Segment = tuple[float, float, int, int]
"""Share of the objects from, share to, first second, end second: linear between."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The `created` times of `count` objects, oldest first, in Unix seconds."""

    count: int
    segments: tuple[Segment, ...]

    def created_at(self, number: int) -> int:
        """Return when object `number` (0 is the oldest) was created. Every eighth shares its predecessor's second."""
        anchor = number - 1 if number % 8 == 3 else number
        jitter = ((anchor * _GOLDEN) & _MASK) / (_MASK + 1)
        position = (anchor + jitter) / self.count
        for share_from, share_to, start, end in self.segments:
            if position < share_to:
                return start + int((position - share_from) / (share_to - share_from) * (end - start))
        return self.segments[-1][3]

    def first_at_or_after(self, second: int) -> int:
        """Return the number of the oldest object created at or after a time; `count` if there is none."""
        return bisect_left(range(self.count), second, key=self.created_at)


def timeline(distribution: CreatedDistribution, count: int, newest: int, days: int) -> Timeline:
    """Return the timeline of a collection; see `SandboxAccount.created` for the distributions."""
    if distribution == "one_second":
        return Timeline(count, ((0.0, 1.0, newest - 1, newest),))
    if distribution == "bursty":
        start = newest - max(days, 10) * DAY
        burst = start + (newest - start) * 6 // 10
        return Timeline(
            count,
            ((0.0, 0.1, start, burst), (0.1, 0.9, burst, burst + 2 * DAY), (0.9, 1.0, burst + 2 * DAY, newest)),
        )
    if distribution == "gaps":
        start = newest - max(days, 6 * 365) * DAY
        year = 365 * DAY
        return Timeline(
            count,
            (
                (0.0, 0.3, start, start + year // 2),
                (0.3, 0.6, start + 3 * year, start + 3 * year + year // 4),
                (0.6, 1.0, newest - year // 3, newest),
            ),
        )
    return Timeline(count, ((0.0, 1.0, newest - days * DAY, newest),))
