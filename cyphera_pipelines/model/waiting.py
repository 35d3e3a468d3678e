"""What a sync waits for, said for people and for programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class WaitingFor(StrEnum):
    """Whom a sync waits for: the provider (its limits, its trouble, its answer), or its turn."""

    PROVIDER = "provider"
    TURN = "turn"


@dataclass(frozen=True)
class Waiting:
    """`until` is when it goes on or is tried again, where that is known.

    Of a turn: `behind` is the session that is waited for, of the same source; `ahead` how many syncs of the whole
    installation wait before it.
    """

    waits_for: WaitingFor
    reason: str
    since: datetime
    until: datetime | None = None
    behind: UUID | None = None
    ahead: int | None = None

    def in_words(self) -> str:
        """All of it, as in "waiting for the provider since 09:30:12 UTC, tried again at 09:30:42: reason"."""
        what = "the provider" if self.waits_for is WaitingFor.PROVIDER else "its turn"
        again = "" if self.until is None else f", tried again at {self.until:%H:%M:%S}"
        return f"waiting for {what} since {self.since:%H:%M:%S} UTC{again}: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """As the `progress` column of a session holds it."""
        return {
            "waits_for": self.waits_for.value,
            "reason": self.reason,
            "since": self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
        }

    @classmethod
    def in_progress(cls, progress: Mapping[str, Any]) -> "Waiting | None":
        """What a `progress` column says, if anything."""
        told = progress.get("waiting")
        if not told:
            return None
        until = told.get("until")
        return cls(
            waits_for=WaitingFor(told["waits_for"]),
            reason=told["reason"],
            since=datetime.fromisoformat(told["since"]),
            until=None if until is None else datetime.fromisoformat(until),
        )


def utc(seconds: float) -> datetime:
    """A moment in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
