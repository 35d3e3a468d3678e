"""Sources that a person paused, or that were paused because their syncs cannot succeed: see `schedules.note_sync`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.actor import API_KEY_PREFIX, current_actor
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.model.pauses import Pause
from cyphera_pipelines.model.schedule import PauseKind
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.schedules import (
    NOT_FAILING,
    NOT_PAUSED,
    end_credentials_pause,
    lock_schedule,
    pause_of,
    write_schedule,
)
from cyphera_pipelines.store.tables import audit_entries as entries
from cyphera_pipelines.store.tables import source_schedules as schedules
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations


class SourcePausedError(ConflictError):
    """The source is paused: no sync of it may start."""

    code = ErrorCode.SOURCE_PAUSED

    def __init__(self, source: Source, pause: Pause) -> None:
        command = f"cyphera source resume {source.workspace_slug} {source.provider}"
        if (pause.paused_by or "").startswith(API_KEY_PREFIX):
            remedy = f"It was paused through the API, which resumes it too; so does: {command}"
        else:
            remedy = f"An operator resumes it with: {command}"
        super().__init__(f"{source.key} is {pause}: no sync of it starts, and what webhooks tell is kept. {remedy}")


def pause_source(database: Database, source: Source, reason: str | None = None) -> Pause:
    """Let no sync of the source start from now on. One that a person paused already stays so, since then and as it was.

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
        set_={name: paused.excluded[name] for name in NOT_PAUSED},
        where=or_(schedules.c.paused_at.is_(None), schedules.c.paused_kind != PauseKind.PERSON.value),
    )
    with database.tenant(source.workspace_id, alone=True) as connection:
        if connection.execute(paused).rowcount == 1:
            record_action(connection, source.workspace_id, Action.SOURCE_PAUSED, source.key, {"reason": reason or ""})
        pause = _find(connection, source.workspace_id, source.provider)
    assert pause is not None, "the row was written in this transaction"
    return pause


def resume_source(database: Database, source: Source) -> Pause | None:
    """Let syncs of the source start again, from its next place on. Returns the pause that is over, if it was in one.

    What it failed with before a pause for its failures is forgotten: it is not to be paused again at once.
    """
    with database.tenant(source.workspace_id, alone=True) as connection:
        found = lock_schedule(connection, source.workspace_id, source.provider)
        if found is None or found[0].pause is None:
            return None
        state, now = found
        values = {**NOT_PAUSED, "due_at": state.schedule.next_changes(state.offset, now)}
        if found[0].pause.paused_kind is not PauseKind.PERSON:
            values |= NOT_FAILING
        write_schedule(connection, state, values)
        record_action(connection, source.workspace_id, Action.SOURCE_RESUMED, source.key)
    return found[0].pause


def end_pause_for_credentials(database: Database, source: Source) -> bool:
    """Let the active source go on if rejected credentials had paused it; returns whether they had."""
    is_active = select(configurations.c.id).where(
        configurations.c.id == source.configuration_id,
        configurations.c.is_active,
        configurations.c.deleted_at.is_(None),
    )
    with database.tenant(source.workspace_id) as connection:
        if connection.execute(is_active).first() is None:
            return False
        return end_credentials_pause(connection, source.workspace_id, source.provider)


def find_pause(database: Database, workspace_id: UUID, provider: str) -> Pause | None:
    """The pause that the workspace's source is in; None if it is in none."""
    with database.tenant(workspace_id) as connection:
        return _find(connection, workspace_id, provider)


@dataclass(frozen=True)
class PauseChange:
    """That a source was paused, or resumed; `reason` is empty where none was given."""

    changed_at: datetime
    is_pause: bool
    actor: str
    actor_name: str | None
    reason: str


def list_pause_changes(database: Database, source: Source, *, limit: int) -> list[PauseChange]:
    """The source's last pauses and what ended them, newest first, as far as the audit trail goes back."""
    told = (Action.SOURCE_PAUSED.value, Action.SOURCE_RESUMED.value)
    statement = (
        select(entries)
        .where(
            entries.c.workspace_id == source.workspace_id,
            entries.c.action.in_(told),
            entries.c.subject_id == source.key,
        )
        .order_by(entries.c.occurred_at.desc(), entries.c.id)
        .limit(limit)
    )
    with database.tenant(source.workspace_id) as connection:
        return [
            PauseChange(
                row.occurred_at,
                row.action == Action.SOURCE_PAUSED.value,
                row.actor,
                row.actor_name,
                str(row.details.get("reason") or ""),
            )
            for row in connection.execute(statement)
        ]


def check_not_paused(connection: Connection, source: Source) -> None:
    """Raise SourcePausedError if a person paused the source. In a transaction that is alone nobody does so meanwhile.

    Whoever asks for a sync of a source that its failures paused may have mended it.
    """
    pause = _find(connection, source.workspace_id, source.provider)
    if pause is not None and pause.paused_kind is PauseKind.PERSON:
        raise SourcePausedError(source, pause)


def _find(connection: Connection, workspace_id: UUID, provider: str) -> Pause | None:
    row = connection.execute(_pause_of(workspace_id, provider)).one_or_none()
    return None if row is None else pause_of(row)


def _pause_of(workspace_id: UUID, provider: str) -> Select[Any]:
    return select(
        schedules.c.paused_at,
        schedules.c.paused_by,
        schedules.c.paused_reason,
        schedules.c.paused_kind,
        schedules.c.paused_code,
    ).where(
        schedules.c.workspace_id == workspace_id,
        schedules.c.provider_name == provider,
        schedules.c.paused_at.is_not(None),
    )
