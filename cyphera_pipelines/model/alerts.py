"""Alerts: what is wrong with a source for long enough that somebody is told, and the rules of when that is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.errors import InvalidInputError, RefusedValueError
from cyphera_pipelines.model.remedies import remedy_of_failure, remedy_of_failure_for_workspace
from cyphera_pipelines.model.schedule import DAY, HOUR, MINUTE

MOST_IN_WORDS = 10
"""Of one cause at one provider, so many sources are told of one by one; with the next, one message is of them all."""

NAMED_IN_A_DIGEST = 20
"""How many of its sources a digest names."""

MOST_AFTER = 7 * DAY
MOST_TIMES = 100
MOST_ALL_CLEAR_AFTER = DAY
DEFAULT_ALL_CLEAR_AFTER = 5 * MINUTE
"""Seconds for which a source has to be well before it is told so."""


class AlertCause(StrEnum):
    """What an alert is about. Of one source and cause there is one open alert at most."""

    FAILED = "failed"
    """Its checks and syncs fail."""
    PARTIAL = "partial"
    """Its syncs come to an end, but some entity does not make it."""
    LATE = "late"
    """Nothing failed, and its tables are older than its schedule allows all the same: nobody was at work on it."""
    CREDENTIALS = "credentials"
    """Its credentials were rejected: it is paused until others are entered."""
    GIVEN_UP = "given_up"
    """It is paused, as its syncs failed for days."""
    WEBHOOKS_FAILING = "webhooks_failing"
    """What webhooks told could not be brought into its tables, and is tried again."""
    WEBHOOKS_DEAD = "webhooks_dead"
    """The same, and it is not tried again by itself."""
    DRIFT = "drift"
    """A verification found rows that are not as the provider has them, and were not mended."""


COUNTED: Mapping[AlertCause, tuple[str, str]] = {
    AlertCause.FAILED: ("sync in a row", "syncs in a row"),
    AlertCause.WEBHOOKS_FAILING: ("webhook", "webhooks"),
    AlertCause.WEBHOOKS_DEAD: ("webhook", "webhooks"),
    AlertCause.DRIFT: ("row", "rows"),
}
"""Of what there may be more and more: one of it, and many. The other causes are there or not, and count nothing."""


@dataclass(frozen=True)
class AlertRule:
    """When an alert of the cause is told: once it is so many of what the cause counts, or is so many seconds old.

    Whichever comes first; a None counts for nothing, and with two of them it is told at once. `all_clear_after`
    seconds have to pass without the cause before the end is told. The deployment's alone counts: an alert ends once,
    whoever is told.
    """

    cause: AlertCause
    is_on: bool = True
    times: int | None = None
    after: int | None = None
    all_clear_after: int = DEFAULT_ALL_CLEAR_AFTER


DEFAULT_RULES: Mapping[AlertCause, AlertRule] = {
    rule.cause: rule
    for rule in (
        # A first failure that the next try mends wakes nobody up.
        AlertRule(AlertCause.FAILED, times=2, after=75 * MINUTE),
        AlertRule(AlertCause.PARTIAL, after=75 * MINUTE),
        AlertRule(AlertCause.LATE, after=15 * MINUTE),
        AlertRule(AlertCause.CREDENTIALS),
        AlertRule(AlertCause.GIVEN_UP),
        AlertRule(AlertCause.WEBHOOKS_FAILING, after=2 * HOUR),
        AlertRule(AlertCause.WEBHOOKS_DEAD),
        AlertRule(AlertCause.DRIFT),
    )
}


def checked_rule(rule: AlertRule) -> AlertRule:
    """The rule, or InvalidInputError that says which of its numbers is not acceptable, and why."""
    if rule.times is not None and rule.cause not in COUNTED:
        raise RefusedValueError(
            "times",
            f"The cause {rule.cause} is there or not, so that there is nothing to count.",
            "Leave out how many. Say after how long it is told (--after 30m; over HTTP after_seconds), or neither, for "
            "at once.",
        )
    if rule.times is not None and not 1 <= rule.times <= MOST_TIMES:
        raise InvalidInputError(f"A cause is told from 1 to {MOST_TIMES} {COUNTED[rule.cause][1]} on.")
    if rule.after is not None and not 0 <= rule.after <= MOST_AFTER:
        raise InvalidInputError(f"A cause is told after {MOST_AFTER // DAY} days at most.")
    if not 0 <= rule.all_clear_after <= MOST_ALL_CLEAR_AFTER:
        raise InvalidInputError(f"The end of a cause is told after {MOST_ALL_CLEAR_AFTER // HOUR} hours at most.")
    return rule


class AlertState(StrEnum):
    """Where an alert stands for whoever looks at it."""

    WAITING = "waiting"
    """The cause is there, but not as often or as long as the rule asks for: nobody is told."""
    OPEN = "open"
    RECOVERING = "recovering"
    """The cause is gone, but not yet for long enough to tell."""
    ENDED = "ended"


class EndedBecause(StrEnum):
    """Why an alert ended."""

    RECOVERED = "recovered"
    REMOVED = "removed"
    """The source is no longer active: its configuration was removed or switched off."""


@dataclass(frozen=True)
class Alert:
    """A row of `alerts` with its workspace's slug.

    `began_at` is since when the cause is there, `times` how often it was met, `detail` what was said of it last.
    `raised_at` is when the rule was met; None while it is not. `is_paused` is whether the source is paused now, and for
    what the alert is about.
    """

    id: UUID
    workspace_id: UUID
    workspace_slug: str
    provider_name: str
    cause: AlertCause
    error_code: str | None
    times: int
    detail: str | None
    began_at: datetime
    raised_at: datetime | None
    recovered_at: datetime | None
    ended_at: datetime | None
    ended_because: EndedBecause | None
    is_paused: bool

    @property
    def source(self) -> str:
        """The source's key, as in `acme:stripe`."""
        return f"{self.workspace_slug}:{self.provider_name}"

    @property
    def state(self) -> AlertState:
        """Where it stands."""
        if self.ended_at is not None:
            return AlertState.ENDED
        if self.raised_at is None:
            return AlertState.WAITING
        return AlertState.OPEN if self.recovered_at is None else AlertState.RECOVERING

    @property
    def sentence(self) -> str:
        """What is, or was, wrong, for people; it ends with a full stop."""
        said = f": {self.detail}" if self.detail else ""
        text = f"{self._is_wrong() if self.recovered_at is None else self._was_wrong()}{said if self._is_said else ''}"
        return text if text.endswith((".", "!", "?")) else f"{text}."

    @property
    def all_clear(self) -> str:
        """How it ended, for people."""
        if self.ended_because is EndedBecause.REMOVED:
            return "It is no longer an active source: nothing of it is synced any more."
        return _ALL_CLEAR[self.cause]

    @property
    def remedy(self) -> str | None:
        """What to do about it: a command where there is one; None once it is gone."""
        if self.recovered_at is not None:
            return None
        slug, provider = self.workspace_slug, self.provider_name
        match self.cause:
            case AlertCause.FAILED | AlertCause.PARTIAL:
                return remedy_of_failure(self.error_code, slug, provider)
            case AlertCause.LATE:
                return f"See that `cyphera up` or Dagster's daemon runs, or: cyphera sync {slug} {provider}"
            case AlertCause.CREDENTIALS | AlertCause.GIVEN_UP if not self.is_paused:
                return (
                    f"Nothing, if its next sync comes to its end. To see that at once: cyphera sync {slug} {provider}"
                )
            case AlertCause.CREDENTIALS:
                return f"Enter a key that works: cyphera source update {slug} {provider} --api-key-stdin"
            case AlertCause.GIVEN_UP:
                return f"Mend what it says, then resume it: cyphera schedule resume {slug} {provider}"
            case AlertCause.WEBHOOKS_FAILING:
                return f"Bring it up to date, and see what fails: cyphera sync {slug} {provider}"
            case AlertCause.WEBHOOKS_DEAD:
                return f"Mend what it says, then replay them: cyphera webhook replay {slug} --all --provider {provider}"
            case AlertCause.DRIFT:
                return f"Compare anew and mend: cyphera verify {slug} {provider} --repair"

    @property
    def remedy_of_workspace(self) -> str | None:
        """The same for people of the workspace, who have its key and the operations page, and no command line."""
        if self.recovered_at is not None:
            return None
        match self.cause:
            case AlertCause.FAILED | AlertCause.PARTIAL:
                return remedy_of_failure_for_workspace(self.error_code)
            case AlertCause.LATE:
                return "Start a sync. If that does not begin, tell whoever runs this installation."
            case AlertCause.CREDENTIALS | AlertCause.GIVEN_UP if not self.is_paused:
                return "Nothing, if its next sync comes to its end. Start one to see that at once."
            case AlertCause.CREDENTIALS:
                return "Put a key that works into its configuration: then it goes on by itself."
            case AlertCause.GIVEN_UP:
                return "Mend what it says, then resume it."
            case AlertCause.WEBHOOKS_FAILING:
                return "Start a sync, which brings it up to date, and see what fails."
            case AlertCause.WEBHOOKS_DEAD:
                return "Mend what it says, then replay them on the source's page."
            case AlertCause.DRIFT:
                return "Verify and repair it on the source's page."

    @property
    def _is_said(self) -> bool:
        """Whether what was said of it last is about the cause itself."""
        return self.cause not in (AlertCause.LATE, AlertCause.DRIFT)

    def _is_wrong(self) -> str:
        since = f"since {_moment(self.began_at)}"
        match self.cause:
            case AlertCause.FAILED:
                return f"{counted(self.times, 'sync')} in a row failed {since}"
            case AlertCause.PARTIAL:
                return f"Its syncs have not been complete {since}"
            case AlertCause.LATE:
                return f"Its tables are older than its schedule allows {since}, when no sync of it had failed"
            case AlertCause.CREDENTIALS if self.is_paused:
                return f"It is paused {since}, as its credentials were rejected"
            case AlertCause.GIVEN_UP if self.is_paused:
                return f"It is paused {since}, as its syncs had failed for days"
            case AlertCause.WEBHOOKS_FAILING:
                webhooks = counted(self.times, "webhook")
                return f"{webhooks} could not be applied {since}; such are tried again for a while"
            case AlertCause.DRIFT:
                rows = counted(self.times, "row", "were")
                return f"{rows} found not to be as the provider has them {since}, and were not mended"
            case _:
                return self._was_wrong()

    def _was_wrong(self) -> str:
        """What is true however it went on."""
        at, first = f"at {_moment(self.began_at)}", f"the first at {_moment(self.began_at)}"
        match self.cause:
            case AlertCause.FAILED:
                return f"{counted(self.times, 'sync')} in a row failed, {first}"
            case AlertCause.PARTIAL:
                return f"Its syncs were not complete, {first}"
            case AlertCause.LATE:
                return f"Its tables were older than its schedule allows from {_moment(self.began_at)} on"
            case AlertCause.CREDENTIALS:
                return f"It was paused {at}, as its credentials were rejected"
            case AlertCause.GIVEN_UP:
                return f"It was paused {at}, as its syncs had failed for days"
            case AlertCause.WEBHOOKS_FAILING:
                return f"{counted(self.times, 'webhook')} could not be applied, {first}"
            case AlertCause.WEBHOOKS_DEAD:
                return f"{counted(self.times, 'webhook')} could not be applied and were given up, {first}"
            case AlertCause.DRIFT:
                return f"{counted(self.times, 'row', 'were')} found not to be as the provider has them, {first}"


def sentence_of_many(cause: AlertCause, provider: str, count: int) -> str:
    """What is wrong with many sources at once."""
    return f"{count:,} sources of {provider}: {_OF_MANY[cause]}."


def all_clear_of_many(cause: AlertCause, provider: str, recovered: int, removed: int) -> str:
    """How it ended for sources that one message had told of."""
    gone = f"; {removed:,} are no longer active" if removed else ""
    return f"{recovered:,} sources of {provider} recovered{gone}. It was: {_OF_MANY[cause]}."


REMEDY_OF_MANY: Mapping[AlertCause, str] = {
    AlertCause.FAILED: "See whether the provider has an outage; then try one: cyphera source test SLUG PROVIDER",
    AlertCause.PARTIAL: "See what one of them says: cyphera status",
    AlertCause.LATE: "See that `cyphera up` or Dagster's daemon runs: cyphera status",
    AlertCause.CREDENTIALS: "See whether the provider refuses keys of all: cyphera source test SLUG PROVIDER",
    AlertCause.GIVEN_UP: "See what one of them says: cyphera status",
    AlertCause.WEBHOOKS_FAILING: "See what one of them says: cyphera status",
    AlertCause.WEBHOOKS_DEAD: "Mend what they say, then replay them: cyphera webhook --help",
    AlertCause.DRIFT: "Compare one anew: cyphera verify SLUG PROVIDER",
}

_OF_MANY: Mapping[AlertCause, str] = {
    AlertCause.FAILED: "their syncs fail",
    AlertCause.PARTIAL: "their syncs are not complete",
    AlertCause.LATE: "their tables are older than their schedules allow, and no sync has failed",
    AlertCause.CREDENTIALS: "they are paused, as their credentials were rejected",
    AlertCause.GIVEN_UP: "they are paused, as their syncs had failed for days",
    AlertCause.WEBHOOKS_FAILING: "webhooks could not be applied, and are tried again",
    AlertCause.WEBHOOKS_DEAD: "webhooks could not be applied, and were given up",
    AlertCause.DRIFT: "rows were found not to be as the provider has them, and were not mended",
}

# Each is true whatever led there: see `store/alert_conditions.py` for when a cause is gone.
_ALL_CLEAR: Mapping[AlertCause, str] = {
    AlertCause.FAILED: "A sync of it has come to its end since, and it is up to date.",
    AlertCause.PARTIAL: "A sync of it was complete again.",
    AlertCause.LATE: "Its tables are as its schedule asks for again.",
    AlertCause.CREDENTIALS: "It is not paused any more, and a sync of it has come to its end.",
    AlertCause.GIVEN_UP: "It is not paused any more, and a sync of it has come to its end.",
    AlertCause.WEBHOOKS_FAILING: "No webhook that could not be applied is left.",
    AlertCause.WEBHOOKS_DEAD: "No webhook that was given up is left.",
    AlertCause.DRIFT: "The last verification of each entity left no difference.",
}


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def rule_in_words(rule: AlertRule) -> str:
    """As in "from 2 syncs in a row on, or after 1 h 15 min"."""
    if not rule.is_on:
        return "never"
    parts = []
    if rule.times is not None and rule.cause in COUNTED:
        one, many = COUNTED[rule.cause]
        parts.append(f"from {rule.times} {one if rule.times == 1 else many} on")
    parts += [f"after {_span(rule.after)}"] if rule.after is not None else []
    return ", or ".join(parts) or "at once"


def _span(seconds: int) -> str:
    hours, minutes = divmod(seconds // MINUTE, 60)
    parts = [f"{hours} h"] if hours else []
    parts += [f"{minutes} min"] if minutes else []
    return " ".join(parts) or f"{seconds} s"


def alert_of(row: Mapping[Any, Any], *, raised: str = "raised_at") -> Alert:
    """The alert that a row of the store is, as whoever's `raised` moment it is sees it."""
    names = [name for name in Alert.__dataclass_fields__ if name != "raised_at"]
    because = row["ended_because"]
    values = {name: row[name] for name in names}
    return Alert(
        **values
        | {
            "cause": AlertCause(row["cause"]),
            "raised_at": row[raised],
            "ended_because": None if because is None else EndedBecause(because),
        }
    )
