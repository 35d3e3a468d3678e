"""How much waits in the inbox, told by an index alone; and handled webhooks by their age."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "webhook_events",
        sa.Column(
            "payload_bytes",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Size of the event as it came in; 0 once it is handled",
        ),
        schema="sync",
    )
    op.alter_column(
        "webhook_events", "payload", comment="The event as it came in; {} once it is handled", schema="sync"
    )
    op.alter_column(
        "webhook_events", "payload", comment="The event as it came in; {} once it is handled", schema="sync"
    )
    op.drop_index("webhook_events_unhandled_idx", "webhook_events", schema="sync")
    op.create_index(
        "webhook_events_unhandled_idx",
        "webhook_events",
        ["workspace_id", "provider_name", "received_at"],
        schema="sync",
        postgresql_where=sa.text("handled_at IS NULL"),
        postgresql_include=["payload_bytes"],
    )
    op.create_index(
        "webhook_events_handled_idx",
        "webhook_events",
        ["handled_at"],
        schema="sync",
        postgresql_where=sa.text("handled_at IS NOT NULL"),
    )
