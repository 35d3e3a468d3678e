"""Alerts of a workspace, the channels that they are sent to, and the rules of when."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from cyphera_pipelines.api.schemas import examples
from cyphera_pipelines.api.schemas.fields import WHOLE, Moment, RequestBody
from cyphera_pipelines.model.alert_channels import (
    LONGEST_NAME,
    AlertChannel,
    AlertDelivery,
    ChannelKind,
    ChannelState,
    DeliveryState,
    MessageKind,
)
from cyphera_pipelines.model.alerts import (
    DEFAULT_ALL_CLEAR_AFTER,
    MOST_AFTER,
    MOST_TIMES,
    Alert,
    AlertCause,
    AlertRule,
    AlertState,
    EndedBecause,
    checked_rule,
)
from cyphera_pipelines.security.secrets import redact

_LONGEST_ADDRESS = 2_000
_ALERT: dict[str, Any] = {
    "id": "3f0f2f6e-6a2e-4d7c-9b53-6f7f9ce7b8f1",
    "provider_name": examples.PROVIDER_NAME,
    "cause": "credentials",
    "error_code": "credentials-rejected",
    "state": "open",
    "times": 1,
    "began_at": "2026-03-01T09:12:00Z",
    "recovered_at": None,
    "ended_at": None,
    "ended_because": None,
    "sentence": "It is paused since 2026-03-01 09:12 UTC, as its credentials were rejected.",
    "remedy": "Put a key that works into its configuration: then it goes on by itself.",
}
_CHANNEL: dict[str, Any] = {
    "id": "8b0f7d0e-58d1-49a5-9c7b-09c2f4d9e0aa",
    "name": "on call",
    "kind": "webhook",
    "address_shown": "https://alerts.example.com/...",
    "causes": None,
    "state": "works",
    "created_at": "2026-03-01T09:00:00Z",
    "delivered_at": "2026-03-01T09:12:31Z",
    "failures": 0,
    "failing_since": None,
    "last_error": None,
    "retry_at": None,
    "dead_at": None,
}


class AlertOut(BaseModel):
    """Something that is, or was, wrong with a source for long enough that it is told."""

    model_config = ConfigDict(json_schema_extra=examples.shown(_ALERT))

    id: UUID = Field(description="The alert's id: the same in every message about it.")
    provider_name: str = Field(description="The source's provider; see `GET /providers`.")
    cause: AlertCause = Field(
        description="`failed`: syncs fail. `partial`: some entity does not make it. `late`: nobody was at work on it. "
        "`credentials`: paused, as they were rejected. `given_up`: paused, as syncs failed for days. "
        "`webhooks_failing`, `webhooks_dead`: webhooks cannot be applied, and are tried again or not. `drift`: a "
        "verification found differences that were not mended."
    )
    error_code: str | None = Field(description="The stable code of what it failed with; null where there is none.")
    state: AlertState = Field(
        description="`waiting`: not yet as old, or as often met, as the rule asks for. `open`. `recovering`: gone, but "
        "not for long enough to tell. `ended`."
    )
    times: int = Field(description="How often it was met: failures in a row, webhooks, or rows, as the cause has it.")
    began_at: Moment = Field(description="Since when it is so.")
    recovered_at: Moment | None = Field(
        description="Since when it is gone, if it is; it may come back before that is told."
    )
    ended_at: Moment | None = Field(description="When it ended.")
    ended_because: EndedBecause | None = Field(description="`removed`: the source is no longer active.")
    sentence: str = Field(description="What is wrong, for people.")
    remedy: str | None = Field(description="What to do about it, for people; null once it is gone.")

    @classmethod
    def of(cls, alert: Alert) -> "AlertOut":
        """The alert as it is shown."""
        names = [name for name in cls.model_fields if name not in ("sentence", "remedy")]
        shown = {name: getattr(alert, name) for name in names}
        return cls(**shown, sentence=redact(alert.sentence), remedy=alert.remedy_of_workspace)


class AlertsOut(BaseModel):
    """A workspace's alerts."""

    alerts: list[AlertOut] = Field(description="Open ones first, oldest first; then those that ended, newest first.")


class ChannelIn(RequestBody):
    """A channel that is to be added. Nothing is sent to it yet: test it."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] = Field(description="What people call it.")
    kind: ChannelKind = Field(
        description="`webhook`: signed JSON to an address of yours. `slack`: an incoming webhook of Slack's. `email`: "
        "a person's address, where the deployment sends e-mail. `apprise`: another service, by its address as Apprise "
        "writes it."
    )
    address: Annotated[SecretStr, Field(min_length=1, max_length=_LONGEST_ADDRESS)] = Field(
        description="Where to: kept encrypted, and never shown again."
    )
    causes: Annotated[list[AlertCause], Field(min_length=1, max_length=len(AlertCause))] | None = Field(
        default=None, description="Which causes it is told of; all unless given."
    )


class ChannelOut(BaseModel):
    """A channel, without its address."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra=examples.shown(_CHANNEL))

    id: UUID = Field(description="The channel's id.")
    name: str = Field(description="What people call it.")
    kind: ChannelKind = Field(description="How it is spoken to.")
    address_shown: str = Field(description="As much of the address as is no secret.")
    causes: list[str] | None = Field(description="Which causes it is told of; null: all.")
    state: ChannelState = Field(
        description="`untried`, `works`, `failing`: its last message was not taken, and is tried again at `retry_at`. "
        "`dead`: it failed for a day; nothing is sent until a test of it succeeds."
    )
    created_at: Moment = Field(description="When it was added.")
    delivered_at: Moment | None = Field(description="When a message was last taken.")
    failures: int = Field(description="How many attempts failed one after the other.")
    failing_since: Moment | None = Field(description="When the first of these failed.")
    last_error: str | None = Field(description="What the last attempt that failed said; null once one succeeds.")
    retry_at: Moment | None = Field(description="Not tried again before; null: at once.")
    dead_at: Moment | None = Field(description="When it was given up; null: it was not.")

    @classmethod
    def of(cls, channel: AlertChannel) -> "ChannelOut":
        """The channel as it is shown."""
        return cls.model_validate(channel)


class ChannelAdded(ChannelOut):
    """A channel that was added."""

    secret: str | None = Field(
        description="What a webhook's messages are signed with: keep it, it cannot be shown again. null for others."
    )


class ChannelsOut(BaseModel):
    """A workspace's channels."""

    channels: list[ChannelOut] = Field(description="In the order in which they were added.")


class DeliveryOut(BaseModel):
    """A message to a channel, and what became of it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID = Field(description="The same in the message, and in its `Idempotency-Id` however often it is sent.")
    channel_id: UUID = Field(description="The channel's id.")
    channel_name: str = Field(description="What people call the channel.")
    kind: MessageKind = Field(description="What the message tells.")
    state: DeliveryState = Field(description="What became of it.")
    source: str | None = Field(description="The source that it is about; null where it is several, or none.")
    cause: str | None = Field(description="The cause that it is about; null in a test.")
    sources: int = Field(description="Of how many sources it told when it was written.")
    created_at: Moment = Field(description="When it was written.")
    attempts: int = Field(description="How often somebody tried to send it.")
    attempted_at: Moment | None = Field(description="When that was last tried.")
    last_error: str | None = Field(description="Why the last attempt that failed did.")
    delivered_at: Moment | None = Field(description="When it was taken.")
    given_up_at: Moment | None = Field(description="When it was given up.")

    @classmethod
    def of(cls, delivery: AlertDelivery) -> "DeliveryOut":
        """The delivery as it is shown."""
        return cls.model_validate(delivery)


class DeliveriesOut(BaseModel):
    """What was sent to a workspace's channels."""

    deliveries: list[DeliveryOut] = Field(description="Newest first.")


class RuleIn(RequestBody):
    """When a cause is told: from so many on, or after so many seconds, whichever comes first; with neither at once."""

    cause: AlertCause = Field(description="What the rule is about.")
    is_on: bool = Field(default=True, description="Whether it is told at all.", strict=True)
    times: Annotated[int, Field(strict=True, ge=1, le=MOST_TIMES), WHOLE] | None = Field(
        default=None,
        description="It is told from so many on: failures in a row, webhooks, or rows. Only for `failed`, "
        "`webhooks_failing`, `webhooks_dead` and `drift`; the other causes count nothing.",
    )
    after_seconds: Annotated[int, Field(strict=True, ge=0, le=MOST_AFTER), WHOLE] | None = Field(
        default=None, description="It is told when it is so old."
    )

    def as_rule(self) -> AlertRule:
        """The rule."""
        return checked_rule(AlertRule(self.cause, self.is_on, self.times, self.after_seconds, DEFAULT_ALL_CLEAR_AFTER))


class RuleOut(BaseModel):
    """When a cause is told."""

    cause: AlertCause = Field(description="What the rule is about.")
    is_on: bool = Field(description="Whether it is told at all.")
    times: int | None = Field(description="It is told from so many on; null: that does not matter.")
    after_seconds: int | None = Field(description="It is told when it is so old; null: that does not matter.")
    is_own: bool = Field(description="Whether the workspace has set it; else it is the deployment's.")

    @classmethod
    def of(cls, rule: AlertRule, *, is_own: bool) -> "RuleOut":
        """The rule as it is shown."""
        return cls(cause=rule.cause, is_on=rule.is_on, times=rule.times, after_seconds=rule.after, is_own=is_own)


class RulesOut(BaseModel):
    """When each cause is told to the workspace's channels."""

    rules: list[RuleOut] = Field(description="One of each cause.")
