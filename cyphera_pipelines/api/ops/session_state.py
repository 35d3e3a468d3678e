"""Where a session is, as pages show it: what the API's status tells, and whether anybody is still heard of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cyphera_pipelines.api.schemas.sessions import ProgressOut
from cyphera_pipelines.model.sessions import SILENT_FOR, Session, SessionStatus
from cyphera_pipelines.model.waiting import Waiting
from cyphera_pipelines.store.events import RecordedEvent

_SENTENCES = {
    SessionStatus.PENDING: "It waits to begin.",
    SessionStatus.RUNNING: "It is running.",
    SessionStatus.COMPLETED: "It is complete.",
    SessionStatus.PARTIAL: "It has ended, and something did not make it; the rest is in the tables.",
    SessionStatus.FAILED: "It has failed.",
    SessionStatus.CANCELLED: "It was cancelled.",
}


@dataclass(frozen=True)
class SessionState:
    """One session at one moment. `events` are the newest ones, newest first."""

    session: Session
    progress: ProgressOut
    waiting: Waiting | None
    events: tuple[RecordedEvent, ...]
    is_silent: bool

    @property
    def sentence(self) -> str:
        """What there is to know at first, for people."""
        if self.is_silent:
            return (
                "It says that it runs, and its process was not heard of for more than a minute: it was killed, or is "
                "cut off. Dagster's sensor ends such a session, and so does the source's next sync."
            )
        return _SENTENCES[self.session.status]

    @property
    def tables(self) -> list[tuple[str, bool, dict[str, Any], str]]:
        """A line for each table: its name, whether it is a child table, its counts, and a word on where it is."""
        lines: list[tuple[str, bool, dict[str, Any], str]] = []
        for name, counts in self.progress.entities.items():
            lines.append((name, False, counts.model_dump(), self._word(counts.done, counts.failed, counts.error)))
            lines += [(child, True, each, "") for child, each in counts.children.items()]
        return lines

    def _word(self, is_done: bool, failed: int, error: str | None) -> str:
        if error:
            return "not complete"
        if failed:
            return "rows missing"
        if is_done:
            return "complete"
        return "stopped" if self.session.status.is_final else "under way" if self.session.started_at else "waits"


def state_of(session: Session, waiting: Waiting | None, events: Sequence[RecordedEvent]) -> SessionState:
    """The session's state now."""
    return SessionState(session, ProgressOut.of(session), waiting, tuple(events), is_silent(session))


def is_silent(session: Session) -> bool:
    """Whether the session says that it runs, and nobody was heard of for longer than a living process is silent."""
    silent_for = (datetime.now(UTC) - session.updated_at).total_seconds()
    return session.status is SessionStatus.RUNNING and silent_for > SILENT_FOR
