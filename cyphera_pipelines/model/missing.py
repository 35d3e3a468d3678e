"""Objects that are at the provider and not, or not as they are, in the tables: known until they are mended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode


class MissingKind(StrEnum):
    """Why an object is missing.

    not_loaded: no row can be made of it. incomplete: the provider failed to tell it whole, and it is asked for again.
    absence_unproven: of some rows nobody could tell whether their objects still exist. not_named: more objects than are
    kept by name.
    """

    NOT_LOADED = "not_loaded"
    INCOMPLETE = "incomplete"
    ABSENCE_UNPROVEN = "absence_unproven"
    NOT_NAMED = "not_named"


@dataclass(frozen=True)
class MissingSample:
    """One of the objects, and the reason."""

    object_id: str
    reason: str


@dataclass(frozen=True)
class MissingObjects:
    """What is missing of one entity.

    `objects` is how many are known by name, `up_to_more` how many more there may be. `is_absence_unproven`: besides,
    rows may be there whose objects are gone. `session_id` is the session that first met what is missing longest.
    """

    entity: Entity
    objects: int
    up_to_more: int
    is_absence_unproven: bool
    session_id: UUID
    since: datetime
    examples: tuple[MissingSample, ...]

    @property
    def code(self) -> ErrorCode:
        """What kind of trouble it is."""
        is_of_objects = self.objects or self.up_to_more
        return ErrorCode.OBJECT_NOT_LOADED if is_of_objects else ErrorCode.ABSENCE_UNPROVEN

    def as_json(self) -> dict[str, Any]:
        """In a form that JSON can hold; `message` is for people."""
        return {
            "entity": self.entity.value,
            "objects": self.objects,
            "up_to_more": self.up_to_more,
            "is_absence_unproven": self.is_absence_unproven,
            "session_id": str(self.session_id),
            "since": self.since.isoformat(),
            "message": self.described(),
        }

    def described(self) -> str:
        """As in "2 objects of invoices are still missing since 2026-03-01 09:30 UTC (session ...): in_1 (why), ..."."""
        parts = []
        since = f"since {self.since:%Y-%m-%d %H:%M} UTC (session {self.session_id})"
        if self.objects or self.up_to_more:
            more = f" and up to {self.up_to_more:,} more" if self.up_to_more else ""
            noun = "object" if self.objects == 1 and not more else "objects"
            verb = "is" if noun == "object" else "are"
            shown = ", ".join(f"{each.object_id} ({each.reason})" for each in self.examples)
            rest = ", and others" if self.objects > len(self.examples) or more else ""
            of = f"{noun} of {self.entity.value}"
            parts.append(f"{self.objects:,}{more} {of} {verb} still missing from the tables, {since}: {shown}{rest}.")
        if self.is_absence_unproven:
            parts.append(f"Of some rows of {self.entity.value} it is not known whether their objects exist, {since}.")
        return " ".join(parts)


def about_missing(missing: Sequence[MissingObjects]) -> str:
    """A sentence for each entity."""
    return " ".join(each.described() for each in missing)
