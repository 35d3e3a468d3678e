"""What a sync had merged when it ended, said so that it is true however it ended."""

from collections.abc import Mapping
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import Session, SessionStatus

NO_ROW = "No row had been changed."
_COUNTS = ("created", "updated", "deleted")


def about_merged_rows(progress: Mapping[str, Any], *, is_all: bool = True) -> str:
    """A sentence on a `progress` column: the counts of all that was merged, or of what is known of it."""
    merged = _described(progress)
    if merged and is_all:
        return f"Merged until then: {merged}. These rows are kept."
    if merged:
        return f"Merged when that was last reported: {merged}. These rows are kept, as are those merged since."
    if is_all:
        return NO_ROW
    return "No changed row had been reported; if some were merged since the last report, they are kept."


def about_merged_rows_of(session: Session) -> str:
    """A sentence on a session that somebody else ends: it may have merged more than it has told of."""
    return about_merged_rows(session.progress, is_all=session.status is SessionStatus.PENDING)


def _described(progress: Mapping[str, Any]) -> str:
    entities = progress.get("entities", {})
    tables: dict[str, Mapping[str, Any]] = {}
    for entity in Entity:
        counts = entities.get(entity.value, {})
        tables |= {entity.value: counts, **counts.get("children", {})}
    changed = {
        name: ", ".join(f"{counts[what]:,} {what}" for what in _COUNTS if counts.get(what))
        for name, counts in tables.items()
    }
    return ", ".join(f"{name} ({what})" for name, what in changed.items() if what)
