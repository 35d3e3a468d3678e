"""A source's freshness and schedule, as tables' cells and as JSON."""

from typing import Any

from cyphera_pipelines.model.freshness import SourceFreshness


def due(found: SourceFreshness) -> str:
    """When the source is due next, for a table's cell."""
    return "-" if found.next_due_at is None else f"{found.next_due_at:%m-%d %H:%M}"


def state_of(found: SourceFreshness) -> str:
    """The state in words."""
    return found.state.value.replace("_", " ")


def shown_as_json(found: SourceFreshness) -> dict[str, Any]:
    """A source's schedule and freshness for programs."""
    schedule, is_daily = found.schedule, found.schedule.daily_at is not None
    return {
        "key": found.key,
        "state": found.state,
        "is_syncing": found.is_syncing,
        "schedule": {
            "changes_every_seconds": None if is_daily else schedule.changes_every,
            "daily_at": f"{schedule.daily_at:%H:%M}" if is_daily else None,
            "time_zone": schedule.time_zone,
            "listing_every_seconds": schedule.listing_every,
        },
        "due_at": found.due_at,
        "listing_due_at": found.listing_due_at,
        "checked_at": found.checked_at,
        "fresh_at": found.fresh_at,
        "failures": found.failures,
        "failing_since": found.failing_since,
        "last_failure": found.last_failure,
        "last_failure_code": found.last_failure_code,
        "pause": found.pause,
        "sentence": found.sentence,
        "remedy": found.remedy,
    }
