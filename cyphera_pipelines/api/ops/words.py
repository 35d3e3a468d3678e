"""Moments and numbers as people read them."""

from datetime import UTC, datetime

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def relative(moment: datetime, now: datetime) -> str:
    """As in "3 minutes ago", "in 2 hours", "just now"."""
    seconds = (now - moment).total_seconds()
    for size, unit in _UNITS:
        count = int(abs(seconds) // size)
        if count:
            words = f"{count:,} {unit}{'' if count == 1 else 's'}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "just now" if seconds >= 0 else "in a moment"


def moment_in_utc(moment: datetime) -> str:
    """As in "2026-11-27 18:20 UTC"."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def number(count: int) -> str:
    """The exact number, as in "1,234,567"."""
    return f"{count:,}"
