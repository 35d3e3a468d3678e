"""Schedules: how often a source is brought up to date by itself, and how fresh it is."""

from typing import Annotated

from pydantic import BaseModel, Field

from cyphera_pipelines.api.schemas.fields import WHOLE, Moment, RequestBody
from cyphera_pipelines.model.errors import RefusedValueError
from cyphera_pipelines.model.freshness import Freshness, SourceFreshness
from cyphera_pipelines.model.schedule import (
    DEFAULT_CHANGES_EVERY,
    DEFAULT_LISTING_EVERY,
    LEAST_CHANGES_EVERY,
    LEAST_LISTING_EVERY,
    MOST_CHANGES_EVERY,
    MOST_LISTING_EVERY,
    Schedule,
)
from cyphera_pipelines.model.schedule_words import TIME_OF_DAY, ScheduleValueError, changed

_CHANGES_EVERY = (
    f"Seconds between two checks for changes, {LEAST_CHANGES_EVERY} to {MOST_CHANGES_EVERY}; "
    f"{DEFAULT_CHANGES_EVERY} unless given"
)
_DAILY_AT = "Instead of an interval: the time of day at which changes are applied once a day, as in `02:30`"
_TIME_ZONE = "Where that is the time of day, as in `Europe/Berlin`; `UTC` unless given"
_LISTING_EVERY = (
    "Seconds between two listings of everything, which also prove what is gone, "
    f"{LEAST_LISTING_EVERY} to {MOST_LISTING_EVERY} and no fewer than between two checks for changes; "
    f"{DEFAULT_LISTING_EVERY} unless given"
)


_ChangesEvery = Annotated[int, Field(strict=True, ge=LEAST_CHANGES_EVERY, le=MOST_CHANGES_EVERY), WHOLE]
_ListingEvery = Annotated[int, Field(strict=True, ge=LEAST_LISTING_EVERY, le=MOST_LISTING_EVERY), WHOLE]


class ScheduleIn(RequestBody):
    """When a source is brought up to date by itself. What is left out or null stays as it is, or is as by default."""

    changes_every_seconds: (
        Annotated[int, Field(strict=True, ge=LEAST_CHANGES_EVERY, le=MOST_CHANGES_EVERY), WHOLE] | None
    ) = Field(default=None, description=f"{_CHANGES_EVERY}. Takes the place of a time of day.")
    daily_at: Annotated[str, Field(pattern=TIME_OF_DAY)] | None = Field(
        default=None, description=f"{_DAILY_AT}. Takes the place of an interval."
    )
    time_zone: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description=f"{_TIME_ZONE}. Only with a time of day."
    )
    listing_every_seconds: (
        Annotated[int, Field(strict=True, ge=LEAST_LISTING_EVERY, le=MOST_LISTING_EVERY), WHOLE] | None
    ) = Field(default=None, description=f"{_LISTING_EVERY}.")

    def applied_to(self, present: Schedule) -> Schedule:
        """The schedule with what is given in its place. Raises RefusedValueError that names the field."""
        try:
            return changed(
                present,
                changes_every=self.changes_every_seconds,
                daily_at=self.daily_at,
                time_zone=self.time_zone,
                listing_every=self.listing_every_seconds,
            )
        except ScheduleValueError as error:
            raise RefusedValueError(f"schedule.{error.field}", error.problem, error.remedy) from None


class ScheduleOut(BaseModel):
    """When the source is brought up to date by itself, and how fresh it is."""

    changes_every_seconds: int | None = Field(description=f"{_CHANGES_EVERY}. null where that is daily at a time.")
    daily_at: str | None = Field(description=f"{_DAILY_AT}. null where there is an interval.")
    time_zone: str | None = Field(description="Where that is the time of day; null where there is an interval.")
    listing_every_seconds: int = Field(description=f"{_LISTING_EVERY}.")
    state: Freshness = Field(
        description="`fresh`: the tables were found or made to be as the provider has it within the period and some "
        "grace. `late`: that was longer ago. `failing`: the last sync failed, or did not complete. `paused`: none "
        "starts by itself. `never_synced`: none has completed yet."
    )
    is_syncing: bool = Field(
        description="Whether a sync or a check is at work now, which goes with any state: a session that runs and is "
        "heard of, or a worker that has the source."
    )
    fresh_at: Moment | None = Field(description="When the tables were last found or made to be as the provider has it.")
    checked_at: Moment | None = Field(description="When the provider was last asked, whatever became of it.")
    due_at: Moment = Field(description="When changes are due next. A paused source waits, whatever it says here.")
    listing_due_at: Moment = Field(description="From when on the next sync that is due lists everything.")
    failures: int = Field(description="How many syncs have failed one after the other.")
    failing_since: Moment | None = Field(description="Since when; null unless the last one failed.")
    last_failure: str | None = Field(description="What the last one that failed said; null once one succeeds.")
    last_failure_code: str | None = Field(description="What kind of error that is, as in docs/errors.md.")

    @classmethod
    def of(cls, found: SourceFreshness) -> "ScheduleOut":
        """The schedule as it is shown."""
        schedule = found.schedule
        is_daily = schedule.daily_at is not None
        return cls(
            changes_every_seconds=None if is_daily else schedule.changes_every,
            daily_at=f"{schedule.daily_at:%H:%M}" if is_daily else None,
            time_zone=schedule.time_zone,
            listing_every_seconds=schedule.listing_every,
            state=found.state,
            is_syncing=found.is_syncing,
            fresh_at=found.fresh_at,
            checked_at=found.checked_at,
            due_at=found.due_at,
            listing_due_at=found.listing_due_at,
            failures=found.failures,
            failing_since=found.failing_since,
            last_failure=found.last_failure,
            last_failure_code=found.last_failure_code,
        )
