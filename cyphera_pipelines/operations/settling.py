"""Finding out what became of writes of which no answer came: by reading first, and only then by sending once more.

Three things can be true of such a write. It is found at the provider: it is done. It is not, and the provider still
knows its idempotency key: it is sent again under the same key, which makes it happen once whether or not the first
request is still on its way. It is not, and the key is forgotten: if nothing can be on its way any more it did not
arrive and never will, and is rejected; otherwise nobody can tell yet.
"""

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from cyphera_pipelines.model.errors import CypheraError, NotFoundError
from cyphera_pipelines.model.writes import Write
from cyphera_pipelines.operations.concluding import conclude, note_unknown
from cyphera_pipelines.operations.holding import BUSY_FOR, holding
from cyphera_pipelines.operations.opening import OpenedOperations, open_operations
from cyphera_pipelines.providers.base import (
    ObjectKind,
    Operation,
    Outcome,
    PreparedWrite,
    Rejected,
    Unknown,
)
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.provider_writes import (
    OVERDUE_AFTER,
    KeptWrite,
    get_write,
    list_unsettled,
    take_up,
)
from cyphera_pipelines.store.sources import find_source_of_write

REQUESTS_WITHIN = 20.0
"""As in `carrying_out`, of one write that is looked into."""
KEYS_ARE_KNOWN_FOR = 0.9
"""Of the time for which a provider says that it knows a key: clocks differ, and a request takes its time."""
NOTHING_IS_ON_ITS_WAY_AFTER = 600.0
"""Seconds after which no request that somebody sent can still arrive, whatever held it up."""
DID_NOT_ARRIVE = "did_not_arrive"
AT_ONCE = 100
"""Writes that are looked into in one portion."""


@dataclass
class Portion:
    """What became of the writes that were looked into: `failed` says of each source why it could not be asked."""

    settled: list[Write] = field(default_factory=list)
    unknown: list[Write] = field(default_factory=list)
    failed: dict[UUID, str] = field(default_factory=dict)
    is_all: bool = True

    def __str__(self) -> str:
        """As in "3 writes settled, 1 still unknown, 0 sources that cannot be asked"."""
        return (
            f"{len(self.settled)} writes settled, {len(self.unknown)} still unknown, "
            f"{len(self.failed)} sources that cannot be asked"
        )


def settle_write(database: Database, keyring: Keyring, write: Write) -> Write:
    """Look into one write, and return it as it is afterwards; as it is, if it is settled or somebody else is at it.

    Raises CypheraError if nobody can tell now: the write stays as it was, for the next who looks.
    """
    kept = take_up(database, write, busy_for=BUSY_FOR)
    if kept is None:
        return get_write(database, write.workspace_id, write.id)
    try:
        with holding(database, kept.write):
            return _look_into(database, keyring, kept)
    except CypheraError as error:
        note_unknown(database, kept.write, str(error))
        raise


def settle_overdue(
    database: Database,
    keyring: Keyring,
    *,
    within: float,
    quiet_for: float = OVERDUE_AFTER,
    workspace_id: UUID | None = None,
) -> Portion:
    """Look into the writes that nobody has been at work on for so long, beginning none after `within` seconds.

    Those of all workspaces in turn; a source that cannot be asked is left for the next portion, and holds up no other.
    """
    portion, deadline = Portion(), time.monotonic() + within
    found = list_unsettled(database, quiet_for=quiet_for, limit=AT_ONCE, workspace_id=workspace_id)
    portion.is_all = len(found) < AT_ONCE
    for write in found:
        if time.monotonic() > deadline:
            portion.is_all = False
            break
        if write.configuration_id in portion.failed:
            continue
        try:
            settled = settle_write(database, keyring, write)
        except CypheraError as error:
            portion.failed[write.configuration_id] = str(error)
        else:
            (portion.settled if settled.state.is_final else portion.unknown).append(settled)
    return portion


def _look_into(database: Database, keyring: Keyring, kept: KeptWrite) -> Write:
    write = kept.write
    prepared = _prepared(keyring, kept)
    source = find_source_of_write(database, write)
    kind, operation = ObjectKind(write.kind), Operation(write.operation)
    with open_operations(database, keyring, source, kind, operation, within=REQUESTS_WITHIN) as opened:
        outcome = _find_out(opened, prepared, kept)
        return conclude(database, source, opened, write, outcome)


def _find_out(opened: OpenedOperations, prepared: PreparedWrite, kept: KeptWrite) -> Outcome[Any]:
    key = kept.write.key_at_provider
    found = opened.account.find(prepared, key, kept.sent_at)
    if found is not None:
        return found
    is_same_account = opened.key_digest == kept.key_digest
    if is_same_account and kept.age < opened.account.keys_kept_for * KEYS_ARE_KNOWN_FOR:
        # Raised or not: an earlier request may have arrived all the same.
        return opened.account.perform(prepared, key)
    if kept.age < opened.account.keys_kept_for or kept.quiet_for < NOTHING_IS_ON_ITS_WAY_AFTER:
        return Unknown(
            "It is not to be found at the provider, and may still arrive."
            if is_same_account
            else "It is not to be found with the present key; the account may be another than it was sent to."
        )
    return Rejected(
        DID_NOT_ARRIVE,
        "The request was sent, no answer came, and nothing of it is to be found at the provider: it did not arrive.",
        remedy="Ask for it again, under a new idempotency key.",
    )


def _prepared(keyring: Keyring, kept: KeptWrite) -> PreparedWrite:
    write = kept.write
    if kept.request is None:
        raise NotFoundError(f"What write {write.id} was to send is not known any more.")
    binding = Binding(write.workspace_id, write.configuration_id, write.provider_name, write.id)
    return PreparedWrite.from_json(orjson.loads(keyring.decrypt(kept.request, binding)))
