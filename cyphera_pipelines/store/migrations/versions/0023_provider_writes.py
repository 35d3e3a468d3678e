"""Writes at providers: each is kept before it is sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_writes",
        sa.Column(
            "id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False, comment="Id of the row"
        ),
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column("configuration_id", sa.UUID(), nullable=False, comment="The configuration whose account it is for"),
        sa.Column("provider_name", sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column(
            "connected_account_id",
            sa.Text(),
            nullable=True,
            comment="The account that the key was used for; NULL = the key's own",
        ),
        sa.Column(
            "key_digest",
            postgresql.BYTEA(),
            nullable=False,
            comment="Tells which account the key opened then; the key is not in it",
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="The kind of object, as in customers"),
        sa.Column("operation", sa.Text(), nullable=False, comment="What was to be done with it, as in create"),
        sa.Column(
            "object_id", sa.Text(), nullable=True, comment="The object; NULL while one that is to be made has none"
        ),
        sa.Column(
            "idempotency_key",
            sa.Text(),
            nullable=False,
            comment="Makes it happen once: given by whoever asked for it, or made for it",
        ),
        sa.Column(
            "request_fingerprint",
            sa.Text(),
            nullable=False,
            comment="Tells this request from others under the same key, to holders of the encryption key",
        ),
        sa.Column(
            "request", sa.Text(), nullable=True, comment="What is to be sent, encrypted; NULL once it is settled"
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="sent, unknown, done or rejected"),
        sa.Column(
            "answer",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="The object afterwards, in the field's own terms; NULL unless it is done",
        ),
        sa.Column(
            "problem",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="Why it was rejected, or why nobody knows what became of it",
        ),
        sa.Column(
            "was_found",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Whether reading told what became of it, and not the answer",
        ),
        sa.Column(
            "was_sent",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Whether it may have reached the provider; what did not may be sent under the same key again",
        ),
        sa.Column("actor", sa.Text(), nullable=False, comment="Who asked for it: api_key:<id>, cli:<user>@<host>, ..."),
        sa.Column("actor_name", sa.Text(), nullable=True, comment="What the key was called then; NULL for others"),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default=sa.text("1"),
            nullable=False,
            comment="How many times somebody has taken it up: whoever is not the last of them may not settle it",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was asked for",
        ),
        sa.Column(
            "sent_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was first sent; what never reached the provider is sent anew",
        ),
        sa.Column(
            "looked_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When somebody last took it up",
        ),
        sa.Column(
            "busy_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Until when somebody is at work on it, at the longest; NULL = nobody is",
        ),
        sa.Column(
            "settled_at", sa.DateTime(timezone=True), nullable=True, comment="When it was settled; NULL until then"
        ),
        sa.CheckConstraint(
            "state IN ('sent', 'done', 'rejected', 'unknown')", name=op.f("provider_writes_state_check")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["sync.workspaces.id"], name=op.f("provider_writes_workspace_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("provider_writes_pkey")),
        sa.UniqueConstraint("workspace_id", "provider_name", "livemode", "idempotency_key", name="provider_writes_key"),
        schema="sync",
        comment="Writes at providers: each is kept before it is sent, with what became of it",
    )
    op.create_index(
        "provider_writes_settled_idx",
        "provider_writes",
        ["settled_at"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("settled_at IS NOT NULL"),
    )
    op.create_index(
        "provider_writes_unsettled_idx",
        "provider_writes",
        ["looked_at"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.create_index(
        "provider_writes_workspace_idx",
        "provider_writes",
        ["workspace_id", sa.literal_column("created_at DESC")],
        unique=False,
        schema="sync",
    )
    op.execute("ALTER TABLE sync.provider_writes ENABLE ROW LEVEL SECURITY")
