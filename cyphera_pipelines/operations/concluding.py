"""Writing down what became of a write: its row, the audit trail and the tables, in one transaction."""

from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import orjson
from sqlalchemy import Connection

from cyphera_pipelines.model.actor import Actor, acting_as
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.writes import Write, WriteState
from cyphera_pipelines.operations.merging import bring_in, tell
from cyphera_pipelines.operations.opening import OpenedOperations
from cyphera_pipelines.providers.base import Change, Done, Outcome, ProviderError, Rejected, Unknown
from cyphera_pipelines.security.secrets import redact_values
from cyphera_pipelines.store.audit import record_write
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.provider_writes import Settlement, get_write, settle

NOT_SENT = "not_sent"
"""The code of what certainly did not reach the provider: the same key may be tried again."""


def conclude(
    database: Database, source: Source, opened: OpenedOperations, write: Write, outcome: Outcome[Any]
) -> Write:
    """Settle the write with what the provider said; the tables hold what the answer tells when this returns.

    What it does not tell whole is asked for, or left to a sync that is wanted then. Returns the write as it is
    afterwards: as somebody else settled it, if it was taken out of our hands.
    """
    changes: Sequence[Change] = outcome.changes if isinstance(outcome, Done) else ()
    told = tell(source, opened, changes)
    with database.tenant(write.workspace_id) as connection:
        settlement = _settlement(outcome)
        if settle(connection, write, settlement):
            if settlement.state.is_final:
                _audit(connection, write, settlement)
            if changes:
                bring_in(connection, source, opened, told)
    return get_write(database, write.workspace_id, write.id)


def note_not_sent(database: Database, write: Write, error: ProviderError) -> None:
    """Settle a write that certainly did not reach the provider."""
    problem = {"code": NOT_SENT, "message": str(error)}
    settlement = Settlement(WriteState.REJECTED, problem=problem, was_sent=False)
    with database.tenant(write.workspace_id) as connection:
        if settle(connection, write, settlement):
            _audit(connection, write, settlement)


def note_unknown(database: Database, write: Write, reason: str) -> Write:
    """Note that nobody can tell yet what became of it, and why."""
    with database.tenant(write.workspace_id) as connection:
        settle(connection, write, Settlement(WriteState.UNKNOWN, problem={"code": "unknown", "message": reason}))
    return get_write(database, write.workspace_id, write.id)


def _audit(connection: Connection, write: Write, settlement: Settlement) -> None:
    """As whoever asked for it, whoever finds out what became of it."""
    details = {
        "provider": write.provider_name,
        "operation": f"{write.operation} {write.kind}",
        "write_id": str(write.id),
        "idempotency_key": write.idempotency_key,
        "outcome": settlement.state.value,
    }
    if settlement.problem is not None:
        details["code"] = str(settlement.problem["code"])
    is_done = settlement.state is WriteState.DONE
    subject = settlement.object_id or write.object_id or write.id
    with acting_as(Actor(write.actor, write.actor_name)):
        record_write(connection, write.workspace_id, subject, details, is_done=is_done)


def _settlement(outcome: Outcome[Any]) -> Settlement:
    match outcome:
        case Done():
            return Settlement(
                WriteState.DONE,
                object_id=outcome.object_id,
                answer=None if outcome.item is None else as_json(outcome.item),
                was_found=outcome.was_found,
            )
        case Rejected():
            return Settlement(WriteState.REJECTED, problem=redact_values(asdict(outcome)))
        case Unknown():
            problem = {"code": "unknown", "message": outcome.reason}
            return Settlement(WriteState.UNKNOWN, problem=redact_values(problem))


def as_json(item: Any) -> dict[str, Any]:
    """A canonical object as JSON's own values; decimals as text, so that none is rounded."""
    assert is_dataclass(item)
    shown: dict[str, Any] = orjson.loads(orjson.dumps(item, default=str, option=orjson.OPT_UTC_Z))
    return shown
