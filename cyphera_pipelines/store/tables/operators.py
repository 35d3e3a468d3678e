"""Control tables of the operations page: who operates the installation, and who is signed in. Schema `sync`."""

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, Index, Table, Text, func, text
from sqlalchemy.dialects.postgresql import BYTEA, UUID

from cyphera_pipelines.store.tables.metadata import CONTROL_SCHEMA, metadata

operator_keys = Table(
    "operator_keys",
    metadata,
    Column(
        "id",
        UUID(as_uuid=True),
        primary_key=True,
        server_default=text("gen_random_uuid()"),
        comment="Id of the row",
    ),
    Column("name", Text, nullable=False, comment="Who or what the key is for, as its maker called it"),
    Column("key_hash", BYTEA, nullable=False, comment="SHA-256 of the key's secret; the key itself is kept nowhere"),
    Column("level", Text, nullable=False, comment="What the key may do: read, or sync, which also starts and stops"),
    Column("created_by", Text, nullable=False, comment="Who made it, as in cli:<user>@<host>"),
    Column(
        "created_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.now(),
        comment="When the key was made",
    ),
    Column("expires_at", DateTime(timezone=True), comment="From when on it is worthless; NULL = it does not expire"),
    Column("last_used_at", DateTime(timezone=True), comment="When somebody last signed in with it; NULL = never"),
    Column("revoked_at", DateTime(timezone=True), comment="When the key was revoked; NULL while it works"),
    CheckConstraint("level IN ('read', 'sync')", name="level"),
    schema=CONTROL_SCHEMA,
    comment="Operators' keys: each opens the operations page of every workspace",
)

ops_sign_ins = Table(
    "ops_sign_ins",
    metadata,
    Column(
        "token_digest",
        BYTEA,
        primary_key=True,
        comment="SHA-256 of the token in the browser's cookie; the token itself is kept nowhere",
    ),
    # No foreign keys to keys: without its key a sign-in is worth nothing.
    Column(
        "operator_key_id",
        UUID(as_uuid=True),
        comment="The operator's key that was shown; NULL = a workspace's",
    ),
    Column(
        "workspace_id",
        UUID(as_uuid=True),
        ForeignKey(f"{CONTROL_SCHEMA}.workspaces.id"),
        comment="The workspace (tenant) whose key was shown; NULL = an operator's",
    ),
    Column(
        "workspace_key_id",
        UUID(as_uuid=True),
        comment="That workspace's key; NULL = an operator's",
    ),
    Column(
        "created_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.now(),
        comment="When the key was shown",
    ),
    Column(
        "seen_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.now(),
        comment="When the browser last asked for a page, to the minute",
    ),
    Column("expires_at", DateTime(timezone=True), nullable=False, comment="When it ends, however much it is used"),
    CheckConstraint(
        "(operator_key_id IS NULL) = (workspace_key_id IS NOT NULL) "
        "AND (workspace_key_id IS NULL) = (workspace_id IS NULL)",
        name="whose",
    ),
    Index("ops_sign_ins_expires_idx", "expires_at"),
    schema=CONTROL_SCHEMA,
    comment="Who is signed in to the operations page",
)
