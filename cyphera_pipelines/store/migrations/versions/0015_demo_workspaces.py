"""Which workspaces the demo made: it touches no others."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_demo = sa.Column(
        "is_demo",
        sa.Boolean,
        nullable=False,
        server_default=sa.text("false"),
        comment="Whether `cyphera demo` made the workspace, and may delete it",
    )
    op.add_column("workspaces", is_demo, schema="sync")
