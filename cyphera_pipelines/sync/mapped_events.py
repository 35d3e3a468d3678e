"""The session events that mapping and loading a page give rise to."""

from collections.abc import Iterable, Sequence

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.model.sessions import EventLevel, SessionEvent
from cyphera_pipelines.store.events import LONGEST_ID, ROW_DIFFERS
from cyphera_pipelines.store.kept_objects import keep
from cyphera_pipelines.store.load_result import DifferingRow, OneSidedChildren

IDS_IN_A_MESSAGE = 5


def mapping_events(
    entity: Entity,
    cleaned: Sequence[str],
    unloaded: Iterable[UnmappableObject],
    incomplete: Iterable[UnmappableObject],
    differing: Iterable[DifferingRow],
    gone: Iterable[str] = (),
) -> list[SessionEvent]:
    """One event per object that was not loaded or differs, and one for all of a batch that had to be cleaned.

    `cleaned` are the ids of the latter, `gone` those of rows that were left although their objects are gone.
    """
    events = [_unmappable(entity, obj) for obj in unloaded]
    events += [_incomplete(entity, obj) for obj in incomplete]
    events += [_differs(entity, row) for row in differing]
    events += [_is_gone(entity, object_id) for object_id in gone]
    if cleaned:
        others = " and others" if len(cleaned) > IDS_IN_A_MESSAGE else ""
        names = ", ".join(cleaned[:IDS_IN_A_MESSAGE]) + others
        events.append(
            SessionEvent(
                "characters_removed",
                f"Characters that Postgres cannot hold (NUL, lone surrogates) were taken out of {names}.",
                entity_type=entity.value,
                level=EventLevel.WARNING,
                event_details={"ids": list(cleaned)},
                code=ErrorCode.CHARACTERS_REMOVED,
            )
        )
    return events


def _differs(entity: Entity, row: DifferingRow) -> SessionEvent:
    one_sided = [f"{each.table} ({_how_many(each)})" for each in row.one_sided]
    where = ", ".join((*row.columns, *one_sided)) or "something without a column of its own"
    children = {each.table: {"new": each.new, "gone": each.gone} for each in row.one_sided}
    return SessionEvent(
        ROW_DIFFERS,
        f"{row.id} of {entity.value} was left as it is; at the provider it differs in {where}.",
        entity_type=entity.value,
        external_id=row.id,
        level=EventLevel.WARNING,
        event_details={"columns": list(row.columns)} | ({"children": children} if children else {}),
        code=ErrorCode.ROW_DIFFERS,
    )


def _how_many(children: OneSidedChildren) -> str:
    counts = {"new": children.new, "gone": children.gone}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _is_gone(entity: Entity, object_id: str) -> SessionEvent:
    return SessionEvent(
        ROW_DIFFERS,
        f"{object_id} of {entity.value} was left as it is; at the provider it is gone.",
        entity_type=entity.value,
        external_id=object_id,
        level=EventLevel.WARNING,
        event_details={"columns": ["deleted_at"]},
        code=ErrorCode.ROW_DIFFERS,
    )


def _incomplete(entity: Entity, obj: UnmappableObject) -> SessionEvent:
    name = _short(str(obj.id))
    return SessionEvent(
        "object_incomplete",
        f"{name} of {entity.value} could not be read whole, and the next sync asks for it again: {obj.reason}",
        entity_type=entity.value,
        external_id=obj.id,
        level=EventLevel.ERROR,
        event_details={"reason": obj.reason},
        code=ErrorCode.OBJECT_INCOMPLETE,
    )


def _unmappable(entity: Entity, obj: UnmappableObject) -> SessionEvent:
    kept = keep(obj.raw.decode("utf-8", "replace") if isinstance(obj.raw, bytes) else obj.raw)
    name, reason = _short(obj.id or "an object without an id"), _short(obj.reason)
    how = "as it was received" if kept.left_out is None else f"but for {kept.left_out}"
    return SessionEvent(
        "row_unmappable",
        f"{name} of {entity.value} was not loaded: {reason}. It is kept here {how}.",
        entity_type=entity.value,
        external_id=obj.id,
        level=EventLevel.ERROR,
        event_details={"reason": reason, "raw": kept.value, "left_out": kept.left_out},
        code=ErrorCode.OBJECT_NOT_LOADED,
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_ID else f"{text[:LONGEST_ID]}..."
