"""What was asked of the server."""

from collections import Counter, deque
from typing import NamedTuple

from cyphera_pipelines.sandbox.serialization import JsonObject

RECENT = 10_000


class SeenRequest(NamedTuple):
    """One answered request. `status` is 0 where the connection was dropped instead."""

    account_id: str | None
    endpoint: str
    path: str
    query: str
    status: int


class Counters:
    """Requests to the providers' APIs, counted since the start or the last reset."""

    def __init__(self) -> None:
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but the requests in flight."""
        self.total = 0
        self.by_endpoint: Counter[str] = Counter()
        self.by_status: Counter[int] = Counter()
        self.by_account: Counter[str] = Counter()
        self.by_fault: Counter[str] = Counter()
        self.most_concurrent = self._in_flight
        self.recent: deque[SeenRequest] = deque(maxlen=RECENT)

    def begin(self) -> None:
        """A request has come in."""
        self._in_flight += 1
        self.most_concurrent = max(self.most_concurrent, self._in_flight)

    def end(self, seen: SeenRequest) -> None:
        """A request has been answered or dropped."""
        self._in_flight -= 1
        self.total += 1
        self.by_endpoint[seen.endpoint] += 1
        self.by_status[seen.status] += 1
        if seen.account_id:
            self.by_account[seen.account_id] += 1
        self.recent.append(seen)

    def snapshot(self) -> JsonObject:
        """Return all counts as JSON: total, by endpoint (`GET /v1/invoices`), status, account, fault; concurrency."""
        return {
            "total": self.total,
            "by_endpoint": dict(self.by_endpoint),
            "by_status": {str(status): count for status, count in self.by_status.items()},
            "by_account": dict(self.by_account),
            "by_fault": dict(self.by_fault),
            "most_concurrent": self.most_concurrent,
            "in_flight": self._in_flight,
        }
