"""Sources that are paused: no sync of them starts, whoever asks for it, until they are resumed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.actor import current_actor
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.model.schedule import PauseKind
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import source_schedules as schedules

_COLUMNS = ("paused_at", "paused_reason", "paused_by", "paused_kind")


@dataclass(frozen=True)
class Pause:
    """Since when a source is paused, by whom, and why; None where no reason was given."""

    paused_at: datetime
    paused_by: str | None
    paused_reason: str | None

    def __str__(self) -> str:
        """As in "paused since 2026-03-01 09:30 UTC (moving to another account)"."""
        reason = f" ({self.paused_reason})" if self.paused_reason else ""
        return f"paused since {self.paused_at:%Y-%m-%d %H:%M} UTC{reason}"


class SourcePausedError(ConflictError):
    """The source is paused: no sync of it may start."""

    def __init__(self, source: Source, pause: Pause) -> None:
        super().__init__(
            f"{source.key} is {pause}: no sync of it starts, and what webhooks tell is kept. "
            f"An operator resumes it with: cyphera source resume {source.workspace_slug} {source.provider}"
        )


def pause_source(database: Database, source: Source, reason: str | None = None) -> Pause:
    """Let no sync of the source start from now on. One that is paused already stays so, since then and as it was.

    A session that was asked for just before has been committed when this returns: see what waits after it.
    """
    values = {
        "workspace_id": source.workspace_id,
        "provider_name": source.provider,
        "paused_at": func.now(),
        "paused_reason": storable(reason),
        "paused_by": current_actor().id,
        "paused_kind": PauseKind.PERSON.value,
    }
    paused = insert(schedules).values(values)
    paused = paused.on_conflict_do_update(
        index_elements=["workspace_id", "provider_name"],
        set_={name: paused.excluded[name] for name in _COLUMNS},
        where=schedules.c.paused_at.is_(None),
    )
    with database.tenant(source.workspace_id, alone=True) as connection:
        if connection.execute(paused).rowcount == 1:
            record_action(connection, source.workspace_id, Action.SOURCE_PAUSED, source.key, {"reason": reason or ""})
        return Pause(**connection.execute(_pause_of(source.workspace_id, source.provider)).one()._mapping)


def resume_source(database: Database, source: Source) -> Pause | None:
    """Let syncs of the source start again. Returns the pause that is over; None if it was not paused."""
    with database.tenant(source.workspace_id, alone=True) as connection:
        pause = _find(connection, source.workspace_id, source.provider)
        if pause is not None:
            resumed = update(schedules).where(
                schedules.c.workspace_id == source.workspace_id, schedules.c.provider_name == source.provider
            )
            connection.execute(resumed.values(dict.fromkeys(_COLUMNS)))
            record_action(connection, source.workspace_id, Action.SOURCE_RESUMED, source.key)
    return pause


def find_pause(database: Database, workspace_id: UUID, provider: str) -> Pause | None:
    """The pause that the workspace's source is in; None if it is in none."""
    with database.tenant(workspace_id) as connection:
        return _find(connection, workspace_id, provider)


def check_not_paused(connection: Connection, source: Source) -> None:
    """Raise SourcePausedError if the source is paused. In a transaction that is alone nobody pauses it meanwhile."""
    pause = _find(connection, source.workspace_id, source.provider)
    if pause is not None:
        raise SourcePausedError(source, pause)


def _find(connection: Connection, workspace_id: UUID, provider: str) -> Pause | None:
    row = connection.execute(_pause_of(workspace_id, provider)).one_or_none()
    return None if row is None else Pause(**row._mapping)


def _pause_of(workspace_id: UUID, provider: str) -> Select[Any]:
    return select(schedules.c.paused_at, schedules.c.paused_by, schedules.c.paused_reason).where(
        schedules.c.workspace_id == workspace_id,
        schedules.c.provider_name == provider,
        schedules.c.paused_at.is_not(None),
    )
