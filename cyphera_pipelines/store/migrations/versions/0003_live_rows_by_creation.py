"""The index by creation time holds live rows only, and is no alternative to the primary key any more.

Of a workspace that was new to the planner it expected a row or two by either index, and could as well have read all of
the workspace's rows to find a page's objects.
"""

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("customers", "products", "prices", "subscriptions", "invoices")


def upgrade() -> None:
    for name in TABLES:
        op.drop_index(f"{name}_created_idx", name, schema="payments")
        op.create_index(
            f"{name}_created_idx",
            name,
            ["workspace_id", "provider", "livemode", "created"],
            schema="payments",
            postgresql_where=text("deleted_at IS NULL"),
        )
