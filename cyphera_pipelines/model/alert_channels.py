"""Channels: where alerts are sent to, and what is sent."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

MOST_CHANNELS = 20
"""Of one workspace, or of the deployment."""

LONGEST_NAME = 80


class ChannelKind(StrEnum):
    """How a channel is spoken to."""

    WEBHOOK = "webhook"
    """An address of one's own, which gets signed JSON."""
    SLACK = "slack"
    """An incoming webhook of Slack's."""
    EMAIL = "email"
    """An address that the deployment's own mail server sends to."""
    APPRISE = "apprise"
    """Any other service, by its address as the library Apprise writes it."""


class MessageKind(StrEnum):
    """What a message tells."""

    ALERT = "alert"
    ALL_CLEAR = "all_clear"
    DIGEST = "digest"
    """The same cause at many sources of one provider."""
    DIGEST_ALL_CLEAR = "digest_all_clear"
    TEST = "test"


class ChannelState(StrEnum):
    """Whether a channel takes what is sent."""

    UNTRIED = "untried"
    WORKS = "works"
    FAILING = "failing"
    DEAD = "dead"
    """It failed for so long that nothing is sent any more, until a test of it succeeds."""


class DeliveryState(StrEnum):
    """What became of a message."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class AlertChannel:
    """A row of `alert_channels`, without its secrets. `workspace_id` is None for one of the deployment's."""

    id: UUID
    workspace_id: UUID | None
    name: str
    kind: ChannelKind
    address_shown: str
    causes: tuple[str, ...] | None
    only_workspaces: tuple[UUID, ...] | None
    created_at: datetime
    delivered_at: datetime | None
    failures: int
    failing_since: datetime | None
    last_error: str | None
    retry_at: datetime | None
    dead_at: datetime | None

    @property
    def state(self) -> ChannelState:
        """Whether it takes what is sent."""
        if self.dead_at is not None:
            return ChannelState.DEAD
        if self.failures:
            return ChannelState.FAILING
        return ChannelState.UNTRIED if self.delivered_at is None else ChannelState.WORKS


@dataclass(frozen=True)
class AlertDelivery:
    """A row of `alert_deliveries`, without the message. `source` is None where it is about several, or none."""

    id: UUID
    channel_id: UUID
    channel_name: str
    kind: MessageKind
    source: str | None
    provider_name: str | None
    cause: str | None
    sources: int
    created_at: datetime
    attempts: int
    attempted_at: datetime | None
    last_error: str | None
    delivered_at: datetime | None
    given_up_at: datetime | None

    @property
    def state(self) -> DeliveryState:
        """What became of it."""
        if self.delivered_at is not None:
            return DeliveryState.DELIVERED
        return DeliveryState.WAITING if self.given_up_at is None else DeliveryState.GIVEN_UP
