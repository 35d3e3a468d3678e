"""Operators: keys that see every workspace, and who is signed in to the operations page."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "operator_keys",
        sa.Column(
            "id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False, comment="Id of the row"
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="Who or what the key is for, as its maker called it"),
        sa.Column(
            "key_hash",
            postgresql.BYTEA(),
            nullable=False,
            comment="SHA-256 of the key's secret; the key itself is kept nowhere",
        ),
        sa.Column(
            "level",
            sa.Text(),
            nullable=False,
            comment="What the key may do: read, or sync, which also starts and stops",
        ),
        sa.Column("created_by", sa.Text(), nullable=False, comment="Who made it, as in cli:<user>@<host>"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the key was made",
        ),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="From when on it is worthless; NULL = it does not expire",
        ),
        sa.Column(
            "last_used_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When somebody last signed in with it; NULL = never",
        ),
        sa.Column(
            "revoked_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the key was revoked; NULL while it works",
        ),
        sa.CheckConstraint("level IN ('read', 'sync')", name=op.f("operator_keys_level_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("operator_keys_pkey")),
        schema="sync",
        comment="Operators' keys: each opens the operations page of every workspace",
    )
    op.create_table(
        "ops_sign_ins",
        sa.Column(
            "token_digest",
            postgresql.BYTEA(),
            nullable=False,
            comment="SHA-256 of the token in the browser's cookie; the token itself is kept nowhere",
        ),
        sa.Column(
            "operator_key_id",
            sa.UUID(),
            nullable=True,
            comment="The operator's key that was shown; NULL = a workspace's",
        ),
        sa.Column(
            "workspace_id",
            sa.UUID(),
            nullable=True,
            comment="The workspace (tenant) whose key was shown; NULL = an operator's",
        ),
        sa.Column("workspace_key_id", sa.UUID(), nullable=True, comment="That workspace's key; NULL = an operator's"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the key was shown",
        ),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the browser last asked for a page, to the minute",
        ),
        sa.Column(
            "expires_at", sa.DateTime(timezone=True), nullable=False, comment="When it ends, however much it is used"
        ),
        sa.CheckConstraint(
            "(operator_key_id IS NULL) = (workspace_key_id IS NOT NULL) AND (workspace_key_id IS NULL) = (workspace_id IS NULL)",
            name=op.f("ops_sign_ins_whose_check"),
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name=op.f("ops_sign_ins_workspace_id_fkey")),
        sa.PrimaryKeyConstraint("token_digest", name=op.f("ops_sign_ins_pkey")),
        schema="sync",
        comment="Who is signed in to the operations page",
    )
    op.create_index("ops_sign_ins_expires_idx", "ops_sign_ins", ["expires_at"], unique=False, schema="sync")
