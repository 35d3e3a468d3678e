"""Analysts who read several workspaces; and no statistics of what tells of people.

Postgres keeps the most frequent values of each column and some in between, and whoever may read the table at all can
guess at them through the rows that EXPLAIN expects, whatever the policies. `store/access` keeps such columns without;
what is known of them goes here: giving a column the type that it has rewrites nothing, and forgets its statistics.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

PERSONAL = {
    "customers": (
        "email",
        "name",
        "phone",
        "description",
        "address_line1",
        "address_line2",
        "address_city",
        "address_state",
        "address_postal_code",
        "address_country",
    ),
    "subscriptions": ("cancellation_comment", "description"),
    "invoices": ("customer_email", "customer_name", "description", "hosted_invoice_url", "invoice_pdf"),
    "invoice_line_items": ("description",),
}


def upgrade() -> None:
    op.drop_constraint("workspace_analysts_pkey", "workspace_analysts", schema="sync", type_="primary")
    op.create_primary_key("workspace_analysts_pkey", "workspace_analysts", ["role_name", "workspace_id"], schema="sync")
    op.create_index("workspace_analysts_workspace_idx", "workspace_analysts", ["workspace_id"], schema="sync")
    op.create_table_comment(
        "workspace_analysts",
        "Analysts: which login role of Postgres may read which workspaces' synced tables",
        existing_comment="Analysts: login roles of Postgres, each of which may read one workspace's synced tables",
        schema="sync",
    )
    for table, columns in PERSONAL.items():
        changes = ", ".join(
            f"ALTER COLUMN {column} TYPE text, ALTER COLUMN {column} SET STATISTICS 0" for column in columns
        )
        op.execute(sa.text(f"ALTER TABLE payments.{table} {changes}"))
