"""What there is to say of a session in words: what was asked for, why, and by whom."""

from collections.abc import Collection

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy, Session, SessionTrigger, SyncRequest, Verification

_WHY = {
    SessionTrigger.REQUEST: "Somebody asked for it.",
    SessionTrigger.RETRY: "Somebody asked for an earlier session's work to be tried again.",
    SessionTrigger.SCHEDULE: "The source was due by its schedule.",
    SessionTrigger.WEBHOOK: "Webhooks waited for it.",
    SessionTrigger.DAGSTER_RUN: "A run was started in Dagster.",
}
_CONFLICTS = {
    ConflictStrategy.SKIP: "rows that are there stay as they are",
    ConflictStrategy.FLAG: "rows that differ stay as they are, and an event names each",
}


def asked_in_words(session: Session, entities_of_provider: Collection[Entity]) -> str:
    """What the session is to do, as in "What changed since the last sync, of everything."."""
    request = SyncRequest.from_config(session.entity_types, session.config)
    is_all = set(session.entity_types) >= set(entities_of_provider)
    what = "everything" if is_all else ", ".join(entity.value for entity in session.entity_types)
    if request.verification is Verification.COMPARE:
        said = f"To compare {what} with the provider, row by row, and tell what differs"
    elif request.verification is Verification.REPAIR:
        said = f"To compare {what} with the provider, row by row, and mend what differs"
    elif request.only_changes:
        said = f"What changed since the last sync, of {what}"
    elif request.full_sync:
        said = f"To list {what} anew"
    else:
        said = f"To list {what}; a listing that was left unfinished goes on"
    options = [_CONFLICTS[request.conflict_strategy]] if request.conflict_strategy in _CONFLICTS else []
    if request.batch_size != SyncRequest.batch_size:
        options.append(f"{request.batch_size} objects per page")
    return "; ".join([said, *options]) + "."


def why_in_words(session: Session) -> str:
    """Why there is the session."""
    return "It is older than this is kept." if session.trigger is None else _WHY[session.trigger]


def who_in_words(actor: str | None, name: str | None) -> str:
    """Who did something, as in "the key “backend”" or "jane@host, with the command line"."""
    if actor is None:
        return "it is older than this is kept"
    kind, _separator, rest = actor.partition(":")
    match kind:
        case "api_key":
            return f"the workspace's key “{name or rest}”"
        case "operator_key":
            return f"an operator, with the key “{name or rest}”"
        case "cli":
            return f"{rest}, with the command line"
        case "process":
            return "no person: a process of this installation"
        case _:
            return actor
