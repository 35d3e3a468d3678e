"""Writes at providers, as they are kept: each is a row before it is sent, and its row says what became of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError, InvalidInputError


class WriteState(StrEnum):
    """How far a write is.

    `sent`: it is on its way, or was when its process ended. `unknown`: no answer told whether it happened. Both are
    settled by reading. `done` and `rejected` are final.
    """

    SENT = "sent"
    DONE = "done"
    REJECTED = "rejected"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether it stays so."""
        return self in (WriteState.DONE, WriteState.REJECTED)


@dataclass(frozen=True)
class Write:
    """A row of `provider_writes`, without the request itself.

    `kind` and `operation` are named as in the declarations of providers. `answer` is the object afterwards, in the
    field's own terms: None unless it is done, and for an object that was deleted. `problem` is why it was rejected, or
    why nobody knows. `was_sent`: it reached the provider, as far as anybody can tell. `busy_until` is until when
    somebody is at work on it, at the longest.
    """

    id: UUID
    workspace_id: UUID
    configuration_id: UUID
    provider_name: str
    livemode: bool
    connected_account_id: str | None
    kind: str
    operation: str
    object_id: str | None
    idempotency_key: str
    state: WriteState
    answer: dict[str, Any] | None
    problem: dict[str, Any] | None
    was_found: bool
    was_sent: bool
    actor: str
    actor_name: str | None
    attempts: int
    created_at: datetime
    sent_at: datetime
    looked_at: datetime
    busy_until: datetime | None
    settled_at: datetime | None

    @property
    def key_at_provider(self) -> str:
        """The idempotency key that the provider is told: always the same of this one, and no other workspace's.

        Two workspaces may choose the same key, and their accounts may be one at the provider.
        """
        return str(uuid5(self.workspace_id, f"{self.provider_name}|{self.livemode}|{self.idempotency_key}"))


class KeyReusedError(InvalidInputError):
    """The idempotency key was used for another request already."""

    code = ErrorCode.IDEMPOTENCY_KEY_REUSED

    def __init__(self, key: str, write_id: UUID) -> None:
        super().__init__(
            f"The idempotency key {key!r} was used for another request already (write {write_id}). Nothing was sent. "
            "Use a new key for a new request, and the same key only to repeat one."
        )
        self.write_id = write_id


class WriteUnderWayError(ConflictError):
    """The same write is on its way right now: ask again in so many seconds."""

    code = ErrorCode.WRITE_UNDER_WAY

    def __init__(self, write_id: UUID, retry_after: int) -> None:
        super().__init__(
            f"This write is on its way already (write {write_id}). Ask again in {retry_after} seconds, with the same "
            "idempotency key or for the write itself."
        )
        self.write_id = write_id
        self.retry_after = retry_after
