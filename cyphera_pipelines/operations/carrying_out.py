"""Carrying out a write once: it is a row before it is sent, and whoever asks again is told what became of it.

The row commits as `sent`, under its idempotency key, before a byte leaves. From then on the process may die at any
moment: whatever happened at the provider is found out by reading (`settling`), and the key, which goes with every
request, keeps the provider from doing it twice.
"""

import math
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson

from cyphera_pipelines.model.errors import NotFoundError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.writes import KeyReusedError, Write, WriteState, WriteUnderWayError
from cyphera_pipelines.operations.asked import Asked
from cyphera_pipelines.operations.concluding import conclude, note_not_sent
from cyphera_pipelines.operations.gate import check_supported
from cyphera_pipelines.operations.holding import BUSY_FOR, holding
from cyphera_pipelines.operations.opening import OpenedOperations, open_operations
from cyphera_pipelines.operations.preparing import prepare
from cyphera_pipelines.operations.settling import settle_write
from cyphera_pipelines.providers.base import Outcome, PreparedWrite, ProviderError, RequestAbandonedError, Unknown
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.provider_writes import KeptWrite, NewWrite, begin_write, find_by_key, send_anew

REQUESTS_WITHIN = 45.0
"""Seconds after which none of a write's requests begins."""
LONGEST_RETRY_AFTER = 5


@dataclass(frozen=True)
class WriteResult:
    """A write as it is now. `was_known`: it had been asked for before, and this is what became of it then."""

    write: Write
    was_known: bool = False


def carry_out(database: Database, keyring: Keyring, source: Source, asked: Asked, key: str) -> WriteResult:
    """Do it once, however often it is asked for under this key.

    Its state afterwards is done, rejected or unknown. Raises KeyReusedError for a key that was another request's,
    WriteUnderWayError while another process is at work on it; UnsupportedError, InvalidInputError and CypheraError
    before anything is kept; and ProviderError where it certainly did not reach the provider: then the same key may be
    tried again.
    """
    asked.register_secrets()
    check_supported(find_provider(source.provider), asked.kind, asked.operation)
    try:
        known = find_by_key(database, source, key)
    except NotFoundError:
        return _begin(database, keyring, source, asked, key)
    return _again(database, keyring, source, asked, known)


def show(database: Database, keyring: Keyring, source: Source, asked: Asked) -> dict[str, Any]:
    """A dry run: what would be sent, without secrets. Sends nothing and keeps nothing. Raises as `carry_out` does."""
    asked.register_secrets()
    check_supported(find_provider(source.provider), asked.kind, asked.operation)
    with open_operations(database, keyring, source, asked.kind, asked.operation, within=REQUESTS_WITHIN) as opened:
        return prepare(opened.provider, opened.account, asked).shown()


def _begin(database: Database, keyring: Keyring, source: Source, asked: Asked, key: str) -> WriteResult:
    with open_operations(database, keyring, source, asked.kind, asked.operation, within=REQUESTS_WITHIN) as opened:
        prepared = prepare(opened.provider, opened.account, asked)
        new = _new(keyring, source, asked, key, opened, prepared)
        kept = begin_write(database, new, busy_for=BUSY_FOR)
        if kept is not None:
            return WriteResult(_send(database, source, opened, prepared, kept))
    return _again(database, keyring, source, asked, find_by_key(database, source, key))


def _again(database: Database, keyring: Keyring, source: Source, asked: Asked, known: KeptWrite) -> WriteResult:
    write = known.write
    if not keyring.is_of(known.fingerprint, asked.as_bytes()):
        raise KeyReusedError(write.idempotency_key, write.id)
    if write.state is WriteState.REJECTED and not write.was_sent:
        return _anew(database, keyring, source, asked, write)
    if not write.state.is_final:
        write = settle_write(database, keyring, write) if known.busy_for <= 0 else write
        if write.state is WriteState.SENT:
            raise WriteUnderWayError(write.id, max(1, min(LONGEST_RETRY_AFTER, math.ceil(known.busy_for))))
    return WriteResult(write, was_known=True)


def _anew(database: Database, keyring: Keyring, source: Source, asked: Asked, write: Write) -> WriteResult:
    with open_operations(database, keyring, source, asked.kind, asked.operation, within=REQUESTS_WITHIN) as opened:
        prepared = prepare(opened.provider, opened.account, asked)
        new = _new(keyring, source, asked, write.idempotency_key, opened, prepared, write)
        kept = send_anew(database, write, new, busy_for=BUSY_FOR)
        if kept is None:
            raise WriteUnderWayError(write.id, 1)
        return WriteResult(_send(database, source, opened, prepared, kept))


def _new(
    keyring: Keyring,
    source: Source,
    asked: Asked,
    key: str,
    opened: OpenedOperations,
    prepared: PreparedWrite,
    known: Write | None = None,
) -> NewWrite:
    write_id = uuid4() if known is None else known.id
    binding = Binding(source.workspace_id, source.configuration_id, source.provider, write_id)
    return NewWrite(
        id=write_id,
        source=source,
        key_digest=opened.key_digest,
        kind=asked.kind.value,
        operation=asked.operation.value,
        object_id=asked.object_id,
        idempotency_key=key,
        fingerprint=keyring.fingerprint(asked.as_bytes()),
        request=keyring.encrypt(orjson.dumps(prepared.as_json()), binding),
    )


def _send(
    database: Database, source: Source, opened: OpenedOperations, prepared: PreparedWrite, kept: KeptWrite
) -> Write:
    with holding(database, kept.write):
        return conclude(database, source, opened, kept.write, _perform(database, opened, prepared, kept))


def _perform(database: Database, opened: OpenedOperations, prepared: PreparedWrite, kept: KeptWrite) -> Outcome[Any]:
    try:
        return opened.account.perform(prepared, kept.write.key_at_provider)
    except RequestAbandonedError as error:
        # Who waited for too long is not believed to know that nothing left.
        return Unknown(str(error))
    except ProviderError as error:
        note_not_sent(database, kept.write, error)
        raise
