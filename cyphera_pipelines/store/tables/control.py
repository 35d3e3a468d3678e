"""Control tables: workspaces, their configurations, and what their syncs did. Schema `sync`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, UUID

from cyphera_pipelines.model.audit import Outcome
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.missing import MissingKind
from cyphera_pipelines.model.purges import PurgeStatus
from cyphera_pipelines.model.schedule import (
    DEFAULT_CHANGES_EVERY,
    DEFAULT_LISTING_EVERY,
    LEAST_CHANGES_EVERY,
    LEAST_LISTING_EVERY,
    MOST_CHANGES_EVERY,
    MOST_LISTING_EVERY,
    PauseKind,
)
from cyphera_pipelines.model.sessions import SessionStatus, SessionTrigger, SessionType
from cyphera_pipelines.model.writes import WriteState
from cyphera_pipelines.store.tables.metadata import CONTROL_SCHEMA, metadata


def _id() -> Column[object]:
    return Column(
        "id",
        UUID(as_uuid=True),
        primary_key=True,
        server_default=text("gen_random_uuid()"),
        comment="Id of the row",
    )


def _workspace_id(*, primary_key: bool = False) -> Column[object]:
    return Column(
        "workspace_id",
        UUID(as_uuid=True),
        ForeignKey(f"{CONTROL_SCHEMA}.workspaces.id"),
        primary_key=primary_key,
        nullable=False,
        comment="The workspace (tenant) that the row belongs to",
    )


def _moment(name: str, comment: str, *, now: bool = False) -> Column[object]:
    return Column(
        name,
        DateTime(timezone=True),
        nullable=not now,
        server_default=func.now() if now else None,
        comment=comment,
    )


def _json(name: str, comment: str, *, default: str | None = "{}") -> Column[object]:
    return Column(
        name,
        JSONB(none_as_null=True),
        nullable=default is None,
        server_default=None if default is None else text(f"'{default}'::jsonb"),
        comment=comment,
    )


def _text(name: str, comment: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, Text, nullable=nullable, comment=comment)


def _source_key() -> tuple[Column[object], ...]:
    """What tells the sources of one mode apart: the first columns of a primary key."""
    return (
        _workspace_id(primary_key=True),
        Column("provider_name", Text, primary_key=True, comment="The payment provider, as in 'stripe'"),
        Column(
            "livemode",
            Boolean,
            primary_key=True,
            comment="True for live data, false for the provider's test mode",
        ),
    )


def _one_of(column: str, values: list[str]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


workspaces = Table(
    "workspaces",
    metadata,
    _id(),
    Column("slug", Text, nullable=False, unique=True, comment="Short, unique, immutable, URL-safe name"),
    _text("name", "Name for people"),
    _moment("created_at", "When the workspace was created", now=True),
    _moment("deleted_at", "When the workspace was deleted; its rows stay until they are purged"),
    Column(
        "is_demo",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="Whether `cyphera demo` made the workspace, and may delete it",
    ),
    schema=CONTROL_SCHEMA,
    comment="Workspaces: the tenants",
)

workspace_api_keys = Table(
    "workspace_api_keys",
    metadata,
    _id(),
    _workspace_id(),
    _text("name", "What the key is for, as its maker called it"),
    Column("key_hash", BYTEA, nullable=False, comment="SHA-256 of the key's secret; the key itself is kept nowhere"),
    _moment("created_at", "When the key was made", now=True),
    _moment("last_used_at", "When the key was last used, to the minute; NULL = never"),
    _moment("revoked_at", "When the key was revoked; NULL while it works"),
    Column(
        "level",
        Text,
        nullable=False,
        server_default=text(f"'{KeyLevel.SYNC.value}'"),
        comment="What the key may do: read, sync, write or admin, each all that the ones before it may",
    ),
    _moment("expires_at", "From when on the key is worthless; NULL = it does not expire"),
    _one_of("level", [level.value for level in KeyLevel]),
    Index("workspace_api_keys_workspace_idx", "workspace_id"),
    schema=CONTROL_SCHEMA,
    comment="Keys of the HTTP API: each opens one workspace",
)

workspace_payment_configurations = Table(
    "workspace_payment_configurations",
    metadata,
    _id(),
    _workspace_id(),
    _text("provider_name", "The payment provider, as in 'stripe'"),
    Column("is_active", Boolean, nullable=False, server_default=text("true"), comment="Whether it is synced"),
    Column(
        "is_test_mode",
        Boolean,
        nullable=False,
        comment="Whether the credentials are for the provider's test mode",
    ),
    _text("configuration", "Encrypted credentials: an AES-256-GCM envelope bound to this row"),
    _text("label", "What people call the source", nullable=True),
    _text("webhook_endpoint_url", "Where the provider sends its webhooks", nullable=True),
    _text("connected_account_id", "The provider's id of the connected account", nullable=True),
    _moment("last_sync_at", "When a sync of this configuration last completed"),
    _moment("last_webhook_at", "When the last webhook for this configuration came in"),
    _moment("last_webhook_refused_at", "When a webhook was last refused, because it is of another account"),
    _text("last_webhook_refusal", "Why the last webhook that was refused was", nullable=True),
    _json("metadata", "Whatever the workspace's own system keeps here"),
    _moment("created_at", "When the configuration was created", now=True),
    _moment("updated_at", "When the configuration was last changed", now=True),
    _moment("deleted_at", "When the configuration was removed; NULL while it exists"),
    Index(
        "workspace_payment_configurations_one_active_idx",
        "workspace_id",
        "provider_name",
        unique=True,
        postgresql_where=text("is_active AND deleted_at IS NULL"),
    ),
    schema=CONTROL_SCHEMA,
    comment="Configurations: a workspace's encrypted credentials for a provider",
)

workspace_provider_accounts = Table(
    "workspace_provider_accounts",
    metadata,
    _workspace_id(primary_key=True),
    Column("provider_name", Text, primary_key=True, comment="The payment provider, as in 'stripe'"),
    Column("account_id", Text, primary_key=True, comment="The provider's id of the account"),
    Column(
        "livemode",
        Boolean,
        primary_key=True,
        comment="True for live data, false for the provider's test mode",
    ),
    _text("account_name", "The account's display name at the provider", nullable=True),
    _moment("first_seen_at", "When the account was registered, or a connection first reached it", now=True),
    _moment("last_seen_at", "When the account was registered, or a connection last reached it", now=True),
    Column(
        "id",
        UUID(as_uuid=True),
        nullable=False,
        unique=True,
        server_default=text("gen_random_uuid()"),
        comment="Id of the row",
    ),
    _text("account_type", "The kind of account, as the workspace called it", nullable=True),
    _text("environment", "live, test or sandbox, as the workspace called it", nullable=True),
    _text("display_name", "The account's name, as the workspace called it", nullable=True),
    Column(
        "is_active",
        Boolean,
        nullable=False,
        server_default=text("true"),
        comment="Whether the account is the workspace's; of one account one row at most",
    ),
    _json("metadata", "Whatever the workspace's own system keeps here"),
    _moment("reached_at", "When a connection last reached the account; NULL = the workspace's own word alone"),
    _moment("updated_at", "When what is said of the account was last changed", now=True),
    Index("workspace_provider_accounts_account_idx", "provider_name", "account_id"),
    Index(
        "workspace_provider_accounts_one_owner_idx",
        "provider_name",
        "account_id",
        "livemode",
        unique=True,
        postgresql_where=text("is_active"),
    ),
    schema=CONTROL_SCHEMA,
    comment="Which provider account belongs to which workspace",
)

payment_sync_sessions = Table(
    "payment_sync_sessions",
    metadata,
    _id(),
    _workspace_id(),
    _text("provider_name", "The payment provider, as in 'stripe'"),
    _text("session_type", "initial_sync, delta_sync or partial_sync"),
    _text(
        "status",
        "pending, running, completed, partial, failed or cancelled; partial = some entity did not complete",
    ),
    Column("entity_types", ARRAY(Text), nullable=False, comment="The entities that the session syncs"),
    _json("config", "What was asked for: batch_size, full_sync, conflict_strategy"),
    _json(
        "progress",
        "Per entity: estimated, fetched, created, updated, unchanged, deleted, failed, done; and overall",
    ),
    _json("error_summary", "What went wrong, how often, and what to do; NULL where nothing did", default=None),
    _text("dagster_run_id", "Id of the Dagster run that executes the session", nullable=True),
    _moment("started_at", "When the sync began"),
    _moment("completed_at", "When the session ended, whatever its status"),
    _moment("created_at", "When the session was asked for", now=True),
    _moment("updated_at", "When the session was last written; the heartbeat while it runs", now=True),
    _text(
        "trigger",
        "Why there is the session: request, retry, schedule, webhook or dagster_run; NULL = it is older than this",
        nullable=True,
    ),
    _text("requested_by", "Who asked for it: api_key:<id>, cli:<user>@<host>, process:<user>@<host>", nullable=True),
    _text("requested_by_name", "What the key was called then; NULL for others", nullable=True),
    Column("retry_of", UUID(as_uuid=True), comment="The session whose work it tries again; NULL = none"),
    _text(
        "error_code",
        "The code of what went wrong, as in docs/errors.md; NULL where nothing did, and before there were codes",
        nullable=True,
    ),
    _one_of("session_type", [kind.value for kind in SessionType]),
    _one_of("status", [status.value for status in SessionStatus]),
    _one_of("trigger", [trigger.value for trigger in SessionTrigger]),
    UniqueConstraint("workspace_id", "id", name="payment_sync_sessions_workspace_key"),
    Index("payment_sync_sessions_recent_idx", "workspace_id", "provider_name", text("created_at DESC")),
    Index(
        "payment_sync_sessions_unfinished_idx",
        "status",
        "updated_at",
        postgresql_where=text("status IN ('pending', 'running')"),
    ),
    Index("payment_sync_sessions_dagster_run_idx", "dagster_run_id"),
    Index("payment_sync_sessions_completed_idx", "completed_at"),
    schema=CONTROL_SCHEMA,
    comment="Sessions: one sync of one source each",
)

payment_sync_events = Table(
    "payment_sync_events",
    metadata,
    _id(),
    Column(
        "session_id",
        UUID(as_uuid=True),
        nullable=False,
        comment="The session that the event belongs to",
    ),
    _workspace_id(),
    _text("provider_name", "The payment provider, as in 'stripe'"),
    _text("entity_type", "The entity or table that the event is about", nullable=True),
    _text("external_id", "The provider's id of the object that the event is about", nullable=True),
    _text("event_type", "A short name of what happened, as in 'row_unmappable'"),
    _text("event_message", "What happened, for a person to read"),
    _json("event_details", "Whatever helps to understand or repair it"),
    _moment("occurred_at", "When it happened", now=True),
    # With the workspace, so that no workspace's event can hang on another's session.
    ForeignKeyConstraint(
        ["workspace_id", "session_id"],
        [f"{CONTROL_SCHEMA}.payment_sync_sessions.workspace_id", f"{CONTROL_SCHEMA}.payment_sync_sessions.id"],
        name="payment_sync_events_session_fkey",
    ),
    Index("payment_sync_events_session_idx", "session_id", "occurred_at"),
    Index("payment_sync_events_workspace_idx", "workspace_id", text("occurred_at DESC")),
    schema=CONTROL_SCHEMA,
    comment="Events: what a person would want to read in a session's log",
)

page_actions = Table(
    "page_actions",
    metadata,
    _workspace_id(primary_key=True),
    Column("token", UUID(as_uuid=True), primary_key=True, comment="What the form that was sent bears, and no other"),
    _text("provider_name", "The payment provider of the source that it was done to"),
    _text("action", "What was done, as in pause"),
    _text("outcome", "What came of it, for people; NULL while it is being done", nullable=True),
    # No foreign key: sessions are forgotten at their own time.
    Column("session_id", UUID(as_uuid=True), comment="The session that it is about; NULL = none"),
    _moment("created_at", "When the form was sent", now=True),
    Index("page_actions_created_idx", "created_at"),
    schema=CONTROL_SCHEMA,
    comment="Forms of the operations page that were sent: each is carried out once, however often it is sent",
)

sync_cursors = Table(
    "sync_cursors",
    metadata,
    *_source_key(),
    Column("entity_type", Text, primary_key=True, comment="The entity that the position is for"),
    _moment("watermark", "Everything that changed at the provider before this moment is in the tables"),
    _json(
        "unfinished",
        "The listing in progress: when it began and its slices' cursors; NULL = none",
        default=None,
    ),
    _moment("full_listing_at", "When a listing of the whole entity last completed"),
    _json("owed", "Ids of objects that could not be read to their end; the next sync asks for them", default="[]"),
    _moment("updated_at", "When the position was last written", now=True),
    Column(
        "mapping_version",
        BigInteger,
        comment="How the last listing made rows of objects; all is listed anew if the program does it in another way",
    ),
    _one_of("entity_type", [entity.value for entity in Entity]),
    schema=CONTROL_SCHEMA,
    comment="Where each source's syncs stand, per entity",
)

missing_objects = Table(
    "missing_objects",
    metadata,
    *_source_key(),
    Column("entity_type", Text, primary_key=True, comment="The entity that the object is one of"),
    Column("object_id", Text, primary_key=True, comment="The provider's id of the object, or what stands for it"),
    _text("kind", "not_loaded, incomplete, absence_unproven or not_named"),
    _text("reason", "Why it is missing, for people"),
    Column("objects", Integer, nullable=False, comment="How many objects the row stands for"),
    Column("listing", Double, comment="Which listing last met it; NULL where an event told of it"),
    # No foreign keys: what is missing outlives the sessions that told of it.
    Column("first_session_id", UUID(as_uuid=True), nullable=False, comment="The session that met it first"),
    Column("last_session_id", UUID(as_uuid=True), nullable=False, comment="The session that met it last"),
    _moment("first_seen_at", "When it was first met", now=True),
    _moment("last_seen_at", "When it was last met", now=True),
    _one_of("kind", [kind.value for kind in MissingKind]),
    schema=CONTROL_SCHEMA,
    comment="What is missing from the synced tables, until it is mended",
)

verifications = Table(
    "verifications",
    metadata,
    *_source_key(),
    Column("entity_type", Text, primary_key=True, comment="The entity that was compared with the provider"),
    Column("verified_at", DateTime(timezone=True), nullable=False, comment="When the comparison began"),
    Column("rows_checked", BigInteger, nullable=False, comment="How many rows of the entity and its child tables"),
    Column(
        "open_differences",
        BigInteger,
        nullable=False,
        comment="How many rows were not as the provider has them, and were not mended then",
    ),
    Column("unmappable", BigInteger, nullable=False, comment="How many objects no row could be made of"),
    _one_of("entity_type", [entity.value for entity in Entity]),
    Index(
        "verifications_differing_idx",
        "workspace_id",
        "provider_name",
        postgresql_where=text("open_differences > 0"),
    ),
    schema=CONTROL_SCHEMA,
    comment="What the last verification of each entity that came to its end has found",
)

request_shares = Table(
    "request_shares",
    metadata,
    Column(
        "participant",
        UUID(as_uuid=True),
        primary_key=True,
        comment="Whoever keeps to the account's limits: one of a process, for one key",
    ),
    _text("account", "The provider, its address, the account and its mode; the key's digest while that is not known"),
    Column(
        "wanted",
        JSONB(none_as_null=True),
        nullable=False,
        comment="Requests per second, to read and to write: of the account under '', and by endpoint",
    ),
    Column(
        "until",
        DateTime(timezone=True),
        nullable=False,
        comment="When the participant is forgotten, unless it is heard of again",
    ),
    prefixes=["UNLOGGED"],
    schema=CONTROL_SCHEMA,
    comment="What each process wants to ask of a provider now, so that all keep to one budget; empty after a crash",
)

synced_accounts = Table(
    "synced_accounts",
    metadata,
    *_source_key(),
    _text("account_id", "The provider's id of the account; NULL where the key may not read it", nullable=True),
    Column("key_digest", BYTEA, nullable=False, comment="SHA-256 of the address and key that opened the account"),
    _moment("updated_at", "When another key or account was last seen", now=True),
    schema=CONTROL_SCHEMA,
    comment="Which account each source's rows and positions are of",
)

workspace_analysts = Table(
    "workspace_analysts",
    metadata,
    Column("role_name", Text, primary_key=True, comment="The role that the analyst logs in to Postgres as"),
    _workspace_id(primary_key=True),
    _moment("created_at", "When the analyst was let in", now=True),
    Index("workspace_analysts_workspace_idx", "workspace_id"),
    schema=CONTROL_SCHEMA,
    comment="Analysts: which login role of Postgres may read which workspaces' synced tables",
)

source_locks = Table(
    "source_locks",
    metadata,
    _workspace_id(primary_key=True),
    Column("provider_name", Text, primary_key=True, comment="The payment provider, as in 'stripe'"),
    Column("number", BigInteger, nullable=False, comment="The advisory lock that a sync of the source holds"),
    _moment("replaced_at", "When a stranger was found to hold the last number; NULL = never"),
    schema=CONTROL_SCHEMA,
    comment="Which advisory lock is each source's: for the pipeline's own role only",
)

webhook_events = Table(
    "webhook_events",
    metadata,
    *_source_key(),
    Column("external_id", Text, primary_key=True, comment="The provider's id of the event, as in 'evt_...'"),
    _text("event_type", "The provider's name of what happened"),
    _text("entity_type", "The entity that the event is about"),
    Column(
        "payload", JSONB(none_as_null=True), nullable=False, comment="The event as it came in; {} once it is handled"
    ),
    Column(
        "payload_bytes",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Size of the event as it came in; 0 once it is handled",
    ),
    _moment("received_at", "When the event came in", now=True),
    _moment("handled_at", "When what it tells was in the tables; NULL until then"),
    _text("handled_by", "at_once: as it came in; sync: by a sync; NULL until then", nullable=True),
    Column(
        "attempts",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="How many syncs have tried to bring it into the tables, and failed",
    ),
    _text("last_error", "What the last of them said", nullable=True),
    _text("error_code", "What kind of error that was", nullable=True),
    _moment("retry_at", "Not to be tried again before; NULL = with the next sync"),
    _moment("dead_at", "When it was given up, until somebody replays it; NULL = it was not"),
    _one_of("handled_by", ["at_once", "sync"]),
    Index(
        "webhook_events_failed_idx",
        "workspace_id",
        "provider_name",
        postgresql_where=text("handled_at IS NULL AND attempts > 0"),
    ),
    Index(
        "webhook_events_unhandled_idx",
        "workspace_id",
        "provider_name",
        "received_at",
        postgresql_where=text("handled_at IS NULL"),
        postgresql_include=["payload_bytes"],
    ),
    Index("webhook_events_handled_idx", "handled_at", postgresql_where=text("handled_at IS NOT NULL")),
    Index("webhook_events_received_idx", "workspace_id", "received_at", "external_id"),
    schema=CONTROL_SCHEMA,
    comment="The inbox of webhooks: provider events that were told to us, each kept once",
)

unrouted_webhook_events = Table(
    "unrouted_webhook_events",
    metadata,
    Column("provider_name", Text, primary_key=True, comment="The payment provider, as in 'stripe'"),
    Column("external_id", Text, primary_key=True, comment="The provider's id of the event, as in 'evt_...'"),
    _text("event_type", "The provider's name of what happened"),
    _text("account_id", "The account that the event names; NULL = it names none", nullable=True),
    Column("livemode", Boolean, comment="True for live data, false for the test mode; NULL = nobody can tell"),
    _text("reason", "Why it was given to no workspace"),
    _moment("received_at", "When the event came in", now=True),
    Index("unrouted_webhook_events_received_idx", "received_at"),
    schema=CONTROL_SCHEMA,
    comment="Provider events that came to the platform's address and are of no workspace's account; not what they tell",
)

platform_accounts = Table(
    "platform_accounts",
    metadata,
    Column("provider_name", Text, primary_key=True, comment="The payment provider, as in 'stripe'"),
    Column("account_id", Text, primary_key=True, comment="The provider's id of the account; '' = the platform's own"),
    Column("livemode", Boolean, primary_key=True, comment="True for live data, false for the provider's test mode"),
    _workspace_id(),
    _text("allowed_by", "The operator who tied the account to the workspace, as in cli:<user>@<host>"),
    _moment("created_at", "When that was", now=True),
    Index("platform_accounts_workspace_idx", "workspace_id"),
    schema=CONTROL_SCHEMA,
    comment="Accounts that a workspace may read with the platform's key: only the operator may tie one to it",
)

source_schedules = Table(
    "source_schedules",
    metadata,
    _workspace_id(primary_key=True),
    Column("provider_name", Text, primary_key=True, comment="The payment provider, as in 'stripe'"),
    _moment("paused_at", "Since when no sync of the source starts; NULL while they may"),
    _text("paused_reason", "Why, as whoever paused it said", nullable=True),
    _text("paused_by", "Who paused it: api_key:<id>, cli:<user>@<host>, ...", nullable=True),
    _text("paused_kind", "person, credentials or failures; NULL while it is not paused", nullable=True),
    Column(
        "changes_every_seconds",
        Integer,
        nullable=False,
        server_default=text(str(DEFAULT_CHANGES_EVERY)),
        comment="How often changes are applied, unless that is daily at a time",
    ),
    _text("daily_at", "The time of day, as in '02:30', at which changes are applied once a day", nullable=True),
    _text("time_zone", "Where that is the time of day, as in 'Europe/Berlin'", nullable=True),
    Column(
        "listing_every_seconds",
        Integer,
        nullable=False,
        server_default=text(str(DEFAULT_LISTING_EVERY)),
        comment="How often everything is listed anew, and what is gone is proven",
    ),
    Column(
        "due_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.now(),
        comment="When changes are due to be applied next",
    ),
    Column(
        "listing_due_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.now(),
        comment="From when on the next sync that is due lists everything",
    ),
    _moment(
        "wanted_at", "Since when a sync is wanted out of turn, as what a webhook told waits for it; NULL = it is not"
    ),
    _moment("checked_at", "When the provider was last asked for changes, whatever became of it"),
    _moment("fresh_at", "When the tables were last found, or made, to be as the provider has it"),
    Column(
        "failures",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="How many checks and syncs failed one after the other; 0 once one succeeds",
    ),
    _moment("failing_since", "When the first of these failed"),
    _text("last_failure", "What the last one that failed said; NULL once one succeeds", nullable=True),
    Column("claimed_by", UUID(as_uuid=True), comment="The worker that is at work on the source; NULL = none"),
    Column(
        "claim_number",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Raised with every claim: a worker whose number it no longer is may not write",
    ),
    _moment("lease_until", "Until when the worker has it, unless it is heard of again"),
    _moment("unchanged_from", "From when on the provider is known to have told of no change"),
    _moment("unchanged_until", "Until when it is; the positions that lie between are as good as this one"),
    Column("unchanged_key_digest", BYTEA, comment="Which account that is true of: see synced_accounts.key_digest"),
    _text("last_failure_code", "The error code of last_failure, as docs/errors.md lists them", nullable=True),
    _text("paused_code", "The error code of what it is paused for; NULL for a pause that a person made", nullable=True),
    _one_of("paused_kind", [kind.value for kind in PauseKind]),
    CheckConstraint(
        f"changes_every_seconds BETWEEN {LEAST_CHANGES_EVERY} AND {MOST_CHANGES_EVERY}", name="changes_every_seconds"
    ),
    CheckConstraint(
        f"listing_every_seconds BETWEEN {LEAST_LISTING_EVERY} AND {MOST_LISTING_EVERY}", name="listing_every_seconds"
    ),
    CheckConstraint("(daily_at IS NULL) = (time_zone IS NULL)", name="time_zone"),
    Index("source_schedules_due_idx", "due_at", postgresql_where=text("paused_at IS NULL")),
    Index("source_schedules_workspace_due_idx", "workspace_id", "due_at", postgresql_where=text("paused_at IS NULL")),
    Index(
        "source_schedules_wanted_idx", "wanted_at", postgresql_where=text("paused_at IS NULL AND wanted_at IS NOT NULL")
    ),
    Index("source_schedules_lease_idx", "lease_until", postgresql_where=text("claimed_by IS NOT NULL")),
    schema=CONTROL_SCHEMA,
    comment="When the syncs of a source start by themselves, and whether they may",
)

audit_entries = Table(
    "audit_entries",
    metadata,
    _id(),
    _moment("occurred_at", "When it was done", now=True),
    # No foreign keys: what was done is known for longer than what it was done to.
    Column("workspace_id", UUID(as_uuid=True), nullable=False, comment="The workspace (tenant) that it was done to"),
    _text("actor", "Who did it: api_key:<id>, cli:<user>@<host>, ..."),
    _text("actor_name", "What the key was called then; NULL for others", nullable=True),
    _text("action", "What was done, as in configuration.changed"),
    _text("subject_id", "Id, or name, of what it was done to"),
    _text("outcome", "done or refused"),
    _json("details", "Which fields were changed, and what else helps to understand it; never a secret"),
    _one_of("outcome", [outcome.value for outcome in Outcome]),
    Index("audit_entries_workspace_idx", "workspace_id", text("occurred_at DESC")),
    Index("audit_entries_occurred_idx", "occurred_at"),
    schema=CONTROL_SCHEMA,
    comment="The audit trail: who did what to which configuration, key or workspace",
)

purges = Table(
    "purges",
    metadata,
    _id(),
    # No foreign key: it tells of a workspace that is gone.
    Column("workspace_id", UUID(as_uuid=True), nullable=False, comment="The workspace (tenant) that is purged"),
    _text("workspace_slug", "Its slug"),
    _text("provider_name", "The provider of the one source; NULL = everything", nullable=True),
    Column(
        "status", Text, nullable=False, server_default=text("'requested'"), comment="requested, running or completed"
    ),
    _json("deleted", "How many rows were deleted, by table, and how many of Dagster's runs"),
    _text("waits_for", "What it cannot go on without; NULL while it does", nullable=True),
    _text("requested_by", "Who asked: api_key:<id>, cli:<user>@<host>, ..."),
    _moment("created_at", "When it was asked for", now=True),
    _moment("updated_at", "When somebody was last at work on it", now=True),
    _moment("completed_at", "When nothing was left"),
    _one_of("status", [status.value for status in PurgeStatus]),
    Index("purges_under_way_idx", "workspace_id", postgresql_where=text("completed_at IS NULL")),
    schema=CONTROL_SCHEMA,
    comment="Purges: the removal of all that is kept of a workspace, or of one of its sources",
)

provider_writes = Table(
    "provider_writes",
    metadata,
    _id(),
    _workspace_id(),
    # No foreign key: a removed configuration is forgotten sooner.
    Column("configuration_id", UUID(as_uuid=True), nullable=False, comment="The configuration whose account it is for"),
    _text("provider_name", "The payment provider, as in 'stripe'"),
    Column("livemode", Boolean, nullable=False, comment="True for live data, false for the provider's test mode"),
    _text("connected_account_id", "The account that the key was used for; NULL = the key's own", nullable=True),
    Column(
        "key_digest", BYTEA, nullable=False, comment="Tells which account the key opened then; the key is not in it"
    ),
    _text("kind", "The kind of object, as in customers"),
    _text("operation", "What was to be done with it, as in create"),
    _text("object_id", "The object; NULL while one that is to be made has none", nullable=True),
    _text("idempotency_key", "Makes it happen once: given by whoever asked for it, or made for it"),
    _text("request_fingerprint", "Tells this request from others under the same key, to holders of the encryption key"),
    _text("request", "What is to be sent, encrypted; NULL once it is settled", nullable=True),
    _text("state", "sent, unknown, done or rejected"),
    _json("answer", "The object afterwards, in the field's own terms; NULL unless it is done", default=None),
    _json("problem", "Why it was rejected, or why nobody knows what became of it", default=None),
    Column(
        "was_found",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="Whether reading told what became of it, and not the answer",
    ),
    Column(
        "was_sent",
        Boolean,
        nullable=False,
        server_default=text("true"),
        comment="Whether it may have reached the provider; what did not may be sent under the same key again",
    ),
    _text("actor", "Who asked for it: api_key:<id>, cli:<user>@<host>, ..."),
    _text("actor_name", "What the key was called then; NULL for others", nullable=True),
    Column(
        "attempts",
        Integer,
        nullable=False,
        server_default=text("1"),
        comment="How many times somebody has taken it up: whoever is not the last of them may not settle it",
    ),
    _moment("created_at", "When it was asked for", now=True),
    _moment("sent_at", "When it was first sent; what never reached the provider is sent anew", now=True),
    _moment("looked_at", "When somebody last took it up", now=True),
    _moment("busy_until", "Until when somebody is at work on it, at the longest; NULL = nobody is"),
    _moment("settled_at", "When it was settled; NULL until then"),
    _one_of("state", [state.value for state in WriteState]),
    UniqueConstraint("workspace_id", "provider_name", "livemode", "idempotency_key", name="provider_writes_key"),
    Index("provider_writes_workspace_idx", "workspace_id", text("created_at DESC")),
    Index("provider_writes_unsettled_idx", "looked_at", postgresql_where=text("settled_at IS NULL")),
    Index("provider_writes_settled_idx", "settled_at", postgresql_where=text("settled_at IS NOT NULL")),
    schema=CONTROL_SCHEMA,
    comment="Writes at providers: each is kept before it is sent, with what became of it",
)
