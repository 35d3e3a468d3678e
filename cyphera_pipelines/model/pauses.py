"""Pauses: since when no sync of a source starts, and why."""

from dataclasses import dataclass
from datetime import datetime

from cyphera_pipelines.model.actor import API_KEY_PREFIX
from cyphera_pipelines.model.schedule import PauseKind


@dataclass(frozen=True)
class Pause:
    """Since when a source is paused, by whom, and why; None where no reason was given.

    One that a person made lets no sync start. The others stop only what starts by itself: whoever asks for a sync gets
    one, and if it succeeds, the pause is over. `paused_code` is the error code of what it is paused for; None where a
    person paused it.
    """

    paused_at: datetime
    paused_by: str | None
    paused_reason: str | None
    paused_kind: PauseKind = PauseKind.PERSON
    paused_code: str | None = None

    @property
    def is_operators(self) -> bool:
        """Whether an operator made it: then no workspace ends it."""
        return self.paused_kind is PauseKind.PERSON and not (self.paused_by or "").startswith(API_KEY_PREFIX)

    def __str__(self) -> str:
        """As in "paused since 2026-03-01 09:30 UTC (moving to another account)"."""
        reason = f" ({self.paused_reason})" if self.paused_reason else ""
        return f"paused since {self.paused_at:%Y-%m-%d %H:%M} UTC{reason}"
