"""Why there is a session, and who asked for it; and forms of the operations page, each carried out once."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "page_actions",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column("token", sa.UUID(), nullable=False, comment="What the form that was sent bears, and no other"),
        sa.Column(
            "provider_name", sa.Text(), nullable=False, comment="The payment provider of the source that it was done to"
        ),
        sa.Column("action", sa.Text(), nullable=False, comment="What was done, as in pause"),
        sa.Column(
            "outcome", sa.Text(), nullable=True, comment="What came of it, for people; NULL while it is being done"
        ),
        sa.Column("session_id", sa.UUID(), nullable=True, comment="The session that it is about; NULL = none"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the form was sent",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name=op.f("page_actions_workspace_id_fkey")),
        sa.PrimaryKeyConstraint("workspace_id", "token", name=op.f("page_actions_pkey")),
        schema="sync",
        comment="Forms of the operations page that were sent: each is carried out once, however often it is sent",
    )
    op.create_index("page_actions_created_idx", "page_actions", ["created_at"], unique=False, schema="sync")
    op.add_column(
        "payment_sync_sessions",
        sa.Column(
            "trigger",
            sa.Text(),
            nullable=True,
            comment="Why there is the session: request, retry, schedule, webhook or dagster_run; NULL = it is older than this",
        ),
        schema="sync",
    )
    op.add_column(
        "payment_sync_sessions",
        sa.Column(
            "requested_by",
            sa.Text(),
            nullable=True,
            comment="Who asked for it: api_key:<id>, cli:<user>@<host>, process:<user>@<host>",
        ),
        schema="sync",
    )
    op.add_column(
        "payment_sync_sessions",
        sa.Column(
            "requested_by_name", sa.Text(), nullable=True, comment="What the key was called then; NULL for others"
        ),
        schema="sync",
    )
    op.add_column(
        "payment_sync_sessions",
        sa.Column("retry_of", sa.UUID(), nullable=True, comment="The session whose work it tries again; NULL = none"),
        schema="sync",
    )
    op.create_check_constraint(
        op.f("payment_sync_sessions_trigger_check"),
        "payment_sync_sessions",
        "trigger IN ('request', 'retry', 'schedule', 'webhook', 'dagster_run')",
        schema="sync",
    )
