"""Webhooks in the inbox, as those who operate it see them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class WebhookState(StrEnum):
    """What became of an event. One that was refused is not kept: the configuration's `last_webhook_refusal` tells."""

    APPLIED = "applied"
    """What it tells is in the tables."""
    WAITING = "waiting"
    """For the source's next sync."""
    FAILED = "failed"
    """A sync could not apply it; a later one tries again."""
    DEAD = "dead"
    """Given up after so many attempts, until somebody replays it."""
    UNREADABLE = "unreadable"
    """Signed, but nobody can tell what it says."""


@dataclass(frozen=True)
class InboxEvent:
    """An event in the inbox.

    `error_code` is the `ErrorCode` of `last_error`; None in rows of old versions. `waits_for` says what it waits for,
    where it does: in words, for people. `payload` is empty once it is applied; None where it was not asked for.
    """

    id: str
    provider_name: str
    livemode: bool
    event_type: str
    entity_type: str | None
    state: WebhookState
    received_at: datetime
    handled_at: datetime | None
    handled_by: str | None
    attempts: int
    last_error: str | None
    error_code: str | None
    retry_at: datetime | None
    dead_at: datetime | None
    waits_for: str | None
    payload: dict[str, Any] | None = None


@dataclass(frozen=True)
class InboxCounts:
    """How many events of a source are in which state, and when the oldest that waits or failed came in.

    `last_error` is what was said of the newest of those that failed or were given up, `error_code` the code of that.
    """

    applied_at_once: int = 0
    applied_by_sync: int = 0
    waiting: int = 0
    failed: int = 0
    dead: int = 0
    unreadable: int = 0
    oldest_unapplied_at: datetime | None = None
    last_applied_at: datetime | None = None
    last_error: str | None = None
    error_code: str | None = None
