"""Schedules as people write them."""

import re
from dataclasses import replace
from datetime import time
from zoneinfo import ZoneInfo

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.schedule import (
    DAY,
    HOUR,
    LEAST_CHANGES_EVERY,
    LEAST_LISTING_EVERY,
    MINUTE,
    MOST_CHANGES_EVERY,
    MOST_LISTING_EVERY,
    Schedule,
    in_words,
    length_in_words,
)

_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY}
_NO_ZONES = {"localtime", "posixrules", "Factory"}
"""Files beside the time zones that are another thing on every machine, or none."""
TIME_OF_DAY = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class ScheduleValueError(InvalidInputError):
    """A part of a schedule is not acceptable: `field` is its name, `problem` says why, `remedy` what to do."""

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.field, self.problem, self.remedy = field, problem, remedy


def changed(
    present: Schedule,
    *,
    changes_every: int | None = None,
    daily_at: str | None = None,
    time_zone: str | None = None,
    listing_every: int | None = None,
) -> Schedule:
    """The schedule with what is given in its place; None leaves it. Raises ScheduleValueError.

    An interval takes the place of a time of day, and a time of day that of an interval. A time zone without a time is
    for the time that is there; a time without one is in the zone that is there, or in UTC.
    """
    if changes_every is not None and daily_at is not None:
        raise ScheduleValueError(
            "daily_at", "Changes are applied either at intervals or daily at a time.", "Leave one of the two out."
        )
    schedule = present
    if changes_every is not None:
        check_between("changes_every_seconds", changes_every, LEAST_CHANGES_EVERY, MOST_CHANGES_EVERY)
        schedule = replace(schedule, changes_every=changes_every, daily_at=None, time_zone=None)
    if listing_every is not None:
        check_between("listing_every_seconds", listing_every, LEAST_LISTING_EVERY, MOST_LISTING_EVERY)
        schedule = replace(schedule, listing_every=listing_every)
    if daily_at is not None:
        schedule = replace(schedule, daily_at=time_of_day(daily_at), time_zone=schedule.time_zone or "UTC")
    if time_zone is not None:
        if schedule.daily_at is None:
            raise ScheduleValueError(
                "time_zone", "A time zone says nothing of an interval.", "Give the time of day with it, or neither."
            )
        schedule = replace(schedule, time_zone=known_time_zone(time_zone))
    if schedule != present:
        _check_listings(schedule, "changes_every_seconds" if listing_every is None else "listing_every_seconds")
    return schedule


def _check_listings(schedule: Schedule, field: str) -> None:
    """Raise ScheduleValueError if listings are to be more frequent than checks: nothing is done between two checks."""
    if schedule.listing_every < schedule.period:
        often, least = length_in_words(schedule.listing_every), length_in_words(schedule.period)
        raise ScheduleValueError(
            field,
            f"Everything is listed when changes are due: not every {in_words(schedule.listing_every)} where these are "
            f"due every {in_words(schedule.period)}.",
            f"List everything every {least} or more rarely, or let changes be due every {often} or more often.",
        )


def duration(text: str) -> int:
    """Seconds, of "15m", "6h" or "7d". Raises InvalidInputError."""
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", text.strip().lower())
    if found is None:
        raise InvalidInputError(f"{text!r} is no length of time. Write minutes, hours or days, as in 15m, 6h or 7d.")
    return int(found[1]) * _UNITS[found[2]]


def check_between(field: str, seconds: int, least: int, most: int) -> None:
    """Raise ScheduleValueError if it is not."""
    if not least <= seconds <= most:
        what = "Changes are" if field == "changes_every_seconds" else "Everything is"
        done = "applied" if field == "changes_every_seconds" else "listed"
        raise ScheduleValueError(
            field,
            f"{what} not {done} every {in_words(seconds)}.",
            f"Choose from {length_in_words(least)} to {length_in_words(most)}.",
        )


def time_of_day(text: str) -> time:
    """The time of "02:30". Raises ScheduleValueError."""
    if not re.fullmatch(TIME_OF_DAY, text):
        raise ScheduleValueError("daily_at", "This is no time of day.", "Write hours and minutes, as in 02:30.")
    return time.fromisoformat(text)


def known_time_zone(name: str) -> str:
    """The name, if it is one of the IANA's time zones. Raises ScheduleValueError."""
    try:
        # Only names that are files of time zones: never a path out of their folder.
        if name in _NO_ZONES or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+-]{0,40}(/[A-Za-z0-9_+-]{1,40}){0,2}", name):
            raise ValueError
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ScheduleValueError(
            "time_zone", "There is no such time zone.", "Write its name as in Europe/Berlin or UTC."
        ) from None
    return name
