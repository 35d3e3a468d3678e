"""How far a source's tables are behind the provider: the states that everything which shows it names."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cyphera_pipelines.model.pauses import Pause
from cyphera_pipelines.model.remedies import remedy_of_failure, remedy_of_failure_for_workspace
from cyphera_pipelines.model.schedule import PauseKind, Schedule, in_words
from cyphera_pipelines.model.source import split_source_key

GRACE_SECONDS, GRACE_SHARE = 300, 0.1
"""A source is late when it is older than its period by so many seconds and such a share of the period."""

LONG_OVERDUE_SECONDS = 900
"""After so long nobody seems to be at work on what is due."""

BELIEVED_AHEAD_SECONDS = 300
"""A time that lies further ahead was written by a wrong clock, and proves nothing."""


class Freshness(StrEnum):
    """A source's state; of several that fit, the first in this order."""

    PAUSED = "paused"
    """No sync of it starts by itself."""
    FAILING = "failing"
    """Its last check or sync failed, or did not complete."""
    NEVER_SYNCED = "never_synced"
    LATE = "late"
    FRESH = "fresh"
    """Its tables were found or made to be as the provider has it within its period, and some grace."""


@dataclass(frozen=True)
class SourceFreshness:
    """A source's state, and what it follows from. `key` is its partition key, `last_failure_code` an error code.

    `is_syncing` is whether a sync or a check of it is at work now, which any state may go with.
    """

    key: str
    state: Freshness
    schedule: Schedule
    due_at: datetime
    listing_due_at: datetime
    wanted_at: datetime | None
    checked_at: datetime | None
    fresh_at: datetime | None
    failures: int
    failing_since: datetime | None
    last_failure: str | None
    pause: Pause | None
    is_syncing: bool
    last_failure_code: str | None = None

    @property
    def next_due_at(self) -> datetime | None:
        """When it is due by itself; None while it is paused."""
        return self.due_at if self.pause is None else None

    @property
    def next_listing_due_at(self) -> datetime | None:
        """When everything is listed at the earliest, which is never before it is due; None while it is paused."""
        return max(self.due_at, self.listing_due_at) if self.pause is None else None

    @property
    def code(self) -> str | None:
        """The error code of what is wrong with it: of its pause, else of its last failure; None where nothing is."""
        return self.last_failure_code if self.pause is None else self.pause.paused_code

    @property
    def sentence(self) -> str:
        """What there is to know, for people; it ends with a full stop."""
        match self.state:
            case Freshness.PAUSED:
                return _sentence(f"It is {self.pause}, {self._as_of()}")
            case Freshness.FAILING:
                what = "Not complete" if self.failures == 0 else f"{self.failures} in a row failed"
                return _sentence(f"{what} since {_moment(self.failing_since)}, {self._as_of()}: {self.last_failure}")
            case Freshness.NEVER_SYNCED:
                return f"Never synced to its end; due at {_moment(self.due_at)}."
            case Freshness.LATE:
                return f"A{self._as_of()[1:]}, due {_every(self.schedule)}; next at {_moment(self.due_at)}."
            case _:
                return f"A{self._as_of()[1:]}; next at {_moment(self.due_at)}."

    @property
    def remedy(self) -> str | None:
        """What to do about it; None where nothing has to be done."""
        slug, provider = split_source_key(self.key)
        match self.state:
            case Freshness.PAUSED if self.pause is not None and self.pause.paused_kind is PauseKind.CREDENTIALS:
                return f"Enter a key that works: cyphera source update {slug} {provider} --api-key-stdin"
            case Freshness.PAUSED:
                return f"Resume it: cyphera schedule resume {slug} {provider}"
            case Freshness.FAILING:
                return remedy_of_failure(self.code, slug, provider)
            case Freshness.LATE | Freshness.NEVER_SYNCED:
                return f"See that `cyphera up` or Dagster's daemon runs, or: cyphera sync {slug} {provider}"
            case _:
                return None

    @property
    def remedy_of_workspace(self) -> str | None:
        """The same for people of the workspace, who have its key and the operations page, and no command line."""
        match self.state:
            case Freshness.PAUSED if self.pause is not None and self.pause.paused_kind is PauseKind.CREDENTIALS:
                return "Put a key that works into its configuration: then it goes on by itself."
            case Freshness.PAUSED:
                return "Resume it, once what it is paused for is over."
            case Freshness.FAILING:
                return remedy_of_failure_for_workspace(self.code)
            case Freshness.LATE | Freshness.NEVER_SYNCED:
                return "Start a sync. If that does not begin, tell whoever runs this installation."
            case _:
                return None

    def _as_of(self) -> str:
        return "never synced to its end" if self.fresh_at is None else f"as of {_moment(self.fresh_at)}"


@dataclass(frozen=True)
class FreshnessCounts:
    """How many sources are in each state, and for how many seconds the one that is most overdue has been due.

    A source that is paused, or that a worker is at, is not overdue. `paused_by_people` are those that somebody paused,
    and not their failures; `syncing` are those of any state that a sync or a check is at work on now.
    """

    sources: dict[Freshness, int]
    syncing: int
    paused_by_people: int
    overdue_sources: int
    overdue_seconds: float

    @property
    def total(self) -> int:
        """How many sources there are."""
        return sum(self.sources.values())

    @property
    def is_healthy(self) -> bool:
        """Whether nobody has to do anything: nothing fails, is late, long overdue, or paused by anything but people."""
        troubled = self.sources[Freshness.FAILING] + self.sources[Freshness.LATE]
        troubled += self.sources[Freshness.PAUSED] - self.paused_by_people
        return troubled == 0 and self.overdue_seconds < LONG_OVERDUE_SECONDS


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _every(schedule: Schedule) -> str:
    return f"every {in_words(schedule.changes_every)}" if schedule.daily_at is None else "daily"


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"
