"""An account belongs to one workspace, and what a workspace calls it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLE = "workspace_provider_accounts"
# Only a connection tells an account's name, or sees an account twice.
REACHED = "account_name IS NOT NULL OR last_seen_at > first_seen_at"


def upgrade() -> None:
    for column in _columns():
        op.add_column(TABLE, column, schema="sync")
    op.create_unique_constraint(f"{TABLE}_id_key", TABLE, ["id"], schema="sync")
    op.execute(f"UPDATE sync.{TABLE} SET reached_at = last_seen_at WHERE {REACHED}")
    # Of several workspaces that have one account it is the first one's that reached it, else the first one's.
    op.execute(
        f"""
        UPDATE sync.{TABLE} AS one SET is_active = false FROM (
            SELECT workspace_id, provider_name, account_id, livemode, row_number() OVER (
                PARTITION BY provider_name, account_id, livemode
                ORDER BY reached_at IS NULL, first_seen_at, workspace_id
            ) AS place FROM sync.{TABLE}
        ) AS ordered
        WHERE place > 1 AND (one.workspace_id, one.provider_name, one.account_id, one.livemode)
            = (ordered.workspace_id, ordered.provider_name, ordered.account_id, ordered.livemode)
        """
    )
    op.create_index(
        f"{TABLE}_one_owner_idx",
        TABLE,
        ["provider_name", "account_id", "livemode"],
        unique=True,
        schema="sync",
        postgresql_where=sa.text("is_active"),
    )
    comments = {
        "first_seen_at": "When the account was registered, or a connection first reached it",
        "last_seen_at": "When the account was registered, or a connection last reached it",
    }
    for name, comment in comments.items():
        op.alter_column(TABLE, name, comment=comment, schema="sync")
    op.create_table_comment(TABLE, "Which provider account belongs to which workspace", schema="sync")


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column(
            "id",
            postgresql.UUID(as_uuid=True),
            nullable=False,
            server_default=sa.text("gen_random_uuid()"),
            comment="Id of the row",
        ),
        sa.Column("account_type", sa.Text(), comment="The kind of account, as the workspace called it"),
        sa.Column("environment", sa.Text(), comment="live, test or sandbox, as the workspace called it"),
        sa.Column("display_name", sa.Text(), comment="The account's name, as the workspace called it"),
        sa.Column(
            "is_active",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("true"),
            comment="Whether the account is the workspace's; of one account one row at most",
        ),
        sa.Column(
            "metadata",
            postgresql.JSONB(),
            nullable=False,
            server_default=sa.text("'{}'::jsonb"),
            comment="Whatever the workspace's own system keeps here",
        ),
        sa.Column(
            "reached_at",
            sa.DateTime(timezone=True),
            comment="When a connection last reached the account; NULL = the workspace's own word alone",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
            comment="When what is said of the account was last changed",
        ),
    ]
