"""What an API key may do, and until when."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    level = sa.Column(
        "level",
        sa.Text(),
        server_default=sa.text("'sync'"),
        nullable=False,
        comment="What the key may do: read, sync, write or admin, each all that the ones before it may",
    )
    op.add_column("workspace_api_keys", level, schema="sync")
    expires_at = sa.Column(
        "expires_at",
        sa.DateTime(timezone=True),
        nullable=True,
        comment="From when on the key is worthless; NULL = it does not expire",
    )
    op.add_column("workspace_api_keys", expires_at, schema="sync")
    op.create_check_constraint(
        "workspace_api_keys_level_check",
        "workspace_api_keys",
        "level IN ('read', 'sync', 'write', 'admin')",
        schema="sync",
    )
