"""What became of everything that an endpoint was to get."""

import math
from collections import Counter, deque
from dataclasses import dataclass, field

from cyphera_pipelines.sandbox.serialization import JsonObject

RECENT = 10_000


@dataclass
class Tally:
    """Counts of one endpoint; its queue's lock guards them.

    `happened`: events that it wants. `sent`: tries. `answered`: tries by status (`no answer` where there was none).
    `arrived`: what was answered with a 2xx, twice for an event that came twice. `milliseconds`: from what happened to
    the 2xx, of recent ones. `lost` and `given_up`: ids of events. `dropped`: for an endpoint that is gone or disabled.
    """

    happened: int = 0
    sent: int = 0
    arrived: int = 0
    doubled: int = 0
    dropped: int = 0
    resent: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    milliseconds: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    last_failure: str | None = None

    def as_json(self) -> JsonObject:
        """Return the counts; of ids only how many."""
        return {
            "happened": self.happened,
            "sent": self.sent,
            "arrived": self.arrived,
            "doubled": self.doubled,
            "dropped": self.dropped,
            "resent": self.resent,
            "lost": len(self.lost),
            "given_up": len(self.given_up),
            "answered": dict(self.answered),
            "milliseconds": {"median": self._quantile(0.5), "p99": self._quantile(0.99)},
            "last_failure": self.last_failure,
        }

    def _quantile(self, share: float) -> float | None:
        ordered = sorted(self.milliseconds)
        return round(ordered[math.ceil(share * len(ordered)) - 1], 1) if ordered else None
