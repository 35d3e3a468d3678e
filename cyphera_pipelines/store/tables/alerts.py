"""Alerts, whom they are told to and when, and what became of telling. Schema `sync`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from cyphera_pipelines.model.alert_channels import ChannelKind, MessageKind
from cyphera_pipelines.model.alerts import AlertCause, EndedBecause
from cyphera_pipelines.store.tables.metadata import CONTROL_SCHEMA, metadata

_CAUSES = [cause.value for cause in AlertCause]


def _id() -> Column[object]:
    return Column(
        "id",
        UUID(as_uuid=True),
        primary_key=True,
        server_default=text("gen_random_uuid()"),
        comment="Id of the row",
    )


def _moment(name: str, comment: str, *, now: bool = False) -> Column[object]:
    return Column(
        name, DateTime(timezone=True), nullable=not now, server_default=func.now() if now else None, comment=comment
    )


def _text(name: str, comment: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, Text, nullable=nullable, comment=comment)


def _one_of(column: str, values: list[str]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _of_the_same_workspace(table: str, column: str, referred: str) -> ForeignKeyConstraint:
    """With the workspace, so that none can name another's row. Of the deployment's nothing is checked.

    What those tell of an alert that is gone is forgotten by the next look: see `alert_announcements.forget_orphans`.
    """
    return ForeignKeyConstraint(
        ["workspace_id", column],
        [f"{CONTROL_SCHEMA}.{referred}.workspace_id", f"{CONTROL_SCHEMA}.{referred}.id"],
        name=f"{table}_{column}_fkey",
        ondelete="CASCADE",
    )


def _whose(comment: str) -> Column[object]:
    """Row-level security shows a workspace its own; NULL, which is no workspace's, is the operator's alone."""
    return Column(
        "workspace_id",
        UUID(as_uuid=True),
        ForeignKey(f"{CONTROL_SCHEMA}.workspaces.id"),
        comment=comment,
    )


alerts = Table(
    "alerts",
    metadata,
    _id(),
    Column(
        "workspace_id",
        UUID(as_uuid=True),
        ForeignKey(f"{CONTROL_SCHEMA}.workspaces.id"),
        nullable=False,
        comment="The workspace (tenant) that the row belongs to",
    ),
    _text("provider_name", "The payment provider, as in 'stripe'"),
    _text("cause", "What is wrong: " + ", ".join(_CAUSES)),
    _text("error_code", "The stable code of what the source failed with; NULL where there is none", nullable=True),
    Column(
        "times", Integer, nullable=False, comment="How often it was met: failures in a row, webhooks or rows, by cause"
    ),
    _text("detail", "What was said of it last", nullable=True),
    _moment("began_at", "Since when it is so", now=True),
    _moment("noticed_at", "When it was first noticed", now=True),
    _moment("was_fresh_at", "When the source had last been fresh as it was last noticed; NULL = it never had been"),
    _moment("raised_at", "When the deployment's rule was met; NULL = it is not"),
    _moment("raised_for_workspace_at", "When the workspace's own rule was met; NULL = it is not"),
    _moment("recovered_at", "Since when it is gone, if it is; it may come back before that is told"),
    _moment("ended_at", "When it ended; NULL while it is open"),
    _text("ended_because", "recovered or removed; NULL while it is open", nullable=True),
    _one_of("cause", _CAUSES),
    _one_of("ended_because", [each.value for each in EndedBecause]),
    UniqueConstraint("workspace_id", "id", name="alerts_workspace_key"),
    Index(
        "alerts_one_open_idx",
        "workspace_id",
        "provider_name",
        "cause",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index("alerts_ended_idx", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    Index("alerts_source_idx", "workspace_id", "provider_name", "cause", text("ended_at DESC")),
    schema=CONTROL_SCHEMA,
    comment="Alerts: what is, or was, wrong with a source for long enough to tell",
)

alert_rules = Table(
    "alert_rules",
    metadata,
    _id(),
    _whose("The workspace (tenant) whose rule it is; NULL = the deployment's"),
    _text("cause", "What the rule is about"),
    Column("is_on", Boolean, nullable=False, comment="Whether it is told at all"),
    Column("times", Integer, comment="It is told when it was met so often; NULL = that does not matter"),
    Column("after_seconds", Integer, comment="It is told when it is so old; NULL = that does not matter"),
    Column(
        "all_clear_after_seconds",
        Integer,
        nullable=False,
        comment="For how long it has to be gone until that is told; the deployment's counts",
    ),
    _moment("updated_at", "When the rule was last changed", now=True),
    _one_of("cause", _CAUSES),
    CheckConstraint("times >= 1", name="times"),
    CheckConstraint("after_seconds >= 0 AND all_clear_after_seconds >= 0", name="seconds"),
    Index("alert_rules_of_deployment_idx", "cause", unique=True, postgresql_where=text("workspace_id IS NULL")),
    Index(
        "alert_rules_of_workspace_idx",
        "workspace_id",
        "cause",
        unique=True,
        postgresql_where=text("workspace_id IS NOT NULL"),
    ),
    schema=CONTROL_SCHEMA,
    comment="Rules: when alerts are told, where somebody said so",
)

alert_channels = Table(
    "alert_channels",
    metadata,
    _id(),
    _whose("The workspace (tenant) whose channel it is; NULL = the deployment's"),
    _text("name", "What people call it"),
    _text("kind", "webhook, slack, email or apprise"),
    _text("address", "Where to, and the signing secret: an AES-256-GCM envelope bound to this row"),
    _text("address_shown", "As much of the address as is no secret"),
    Column("causes", ARRAY(Text), comment="Which causes it is told of; NULL = all"),
    Column("only_workspaces", ARRAY(UUID(as_uuid=True)), comment="Of which workspaces it is told; NULL = all"),
    _moment("created_at", "When it was added", now=True),
    _text("created_by", "Who added it: api_key:<id>, cli:<user>@<host>, ..."),
    _moment("removed_at", "When it was removed; NULL while it exists"),
    _moment("delivered_at", "When a message was last taken"),
    Column(
        "failures",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="How many attempts failed one after the other; 0 once one succeeds",
    ),
    _moment("failing_since", "When the first of these failed"),
    _text("last_error", "What the last of them said; NULL once one succeeds", nullable=True),
    _moment("retry_at", "Not to be tried again before; NULL = at once"),
    _moment("dead_at", "When it was given up, until a test of it succeeds; NULL = it was not"),
    _moment("claimed_until", "Until when somebody is at work on it, at the longest; NULL = nobody is"),
    Column(
        "claim_number",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Raised with every claim: whose number it no longer is may write nothing down",
    ),
    _one_of("kind", [kind.value for kind in ChannelKind]),
    UniqueConstraint("workspace_id", "id", name="alert_channels_workspace_key"),
    schema=CONTROL_SCHEMA,
    comment="Channels: where alerts are sent to",
)

alert_deliveries = Table(
    "alert_deliveries",
    metadata,
    _id(),
    Column("number", BigInteger, Identity(), nullable=False, comment="Their order: a channel gets one after the other"),
    Column("channel_id", UUID(as_uuid=True), nullable=False, comment="The channel that it is for"),
    _whose("The workspace (tenant) whose channel that is; NULL = the deployment's"),
    Column("alert_id", UUID(as_uuid=True), comment="The alert that it is about; NULL = several, or none"),
    _text("kind", "alert, all_clear, digest, digest_all_clear or test"),
    Column("sources", Integer, nullable=False, comment="Of how many sources it told when it was written"),
    _text("provider_name", "The payment provider of those, as in 'stripe'; NULL in a test", nullable=True),
    _text("cause", "The cause that it is about; NULL in a test", nullable=True),
    Column(
        "message",
        JSONB(none_as_null=True),
        nullable=False,
        comment="What is sent; {} once it is delivered or given up",
    ),
    _moment("created_at", "When it was written", now=True),
    Column(
        "attempts", Integer, nullable=False, server_default=text("0"), comment="How often somebody tried to send it"
    ),
    _moment("attempted_at", "When that was last tried"),
    _text("last_error", "Why the last attempt that failed did", nullable=True),
    _moment("delivered_at", "When it was taken; NULL = it was not"),
    _moment("given_up_at", "When it was given up; NULL = it was not"),
    _one_of("kind", [kind.value for kind in MessageKind]),
    UniqueConstraint("workspace_id", "id", name="alert_deliveries_workspace_key"),
    _of_the_same_workspace("alert_deliveries", "channel_id", "alert_channels"),
    _of_the_same_workspace("alert_deliveries", "alert_id", "alerts"),
    Index(
        "alert_deliveries_due_idx",
        "channel_id",
        "number",
        postgresql_where=text("delivered_at IS NULL AND given_up_at IS NULL"),
    ),
    Index("alert_deliveries_channel_idx", "channel_id", text("number DESC")),
    Index("alert_deliveries_created_idx", "created_at"),
    Index("alert_deliveries_alert_idx", "alert_id"),
    schema=CONTROL_SCHEMA,
    comment="Deliveries: every message to a channel, with what became of it",
)

alert_announcements = Table(
    "alert_announcements",
    metadata,
    Column("alert_id", UUID(as_uuid=True), primary_key=True, comment="The alert"),
    Column("channel_id", UUID(as_uuid=True), primary_key=True, comment="The channel that is told of it"),
    _whose("The workspace (tenant) whose channel that is; NULL = the deployment's"),
    Column(
        "told_by",
        UUID(as_uuid=True),
        nullable=False,
        comment="The delivery that tells of it: a digest's tells of many, also of those that came later",
    ),
    _moment("created_at", "When that was decided", now=True),
    _moment("cleared_at", "When its end was told, or found not worth telling; NULL until then"),
    _of_the_same_workspace("alert_announcements", "alert_id", "alerts"),
    _of_the_same_workspace("alert_announcements", "channel_id", "alert_channels"),
    _of_the_same_workspace("alert_announcements", "told_by", "alert_deliveries"),
    Index("alert_announcements_uncleared_idx", "channel_id", "told_by", postgresql_where=text("cleared_at IS NULL")),
    Index("alert_announcements_told_idx", "told_by"),
    schema=CONTROL_SCHEMA,
    comment="Which channel was told of which alert, so that it is told once of its beginning and once of its end",
)
