"""Children's keys hold their parent and their occurrence; see 0007, which has to be committed before this begins."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PARENT_COLUMNS = {
    "price_tiers": "price_id",
    "subscription_items": "subscription_id",
    "invoice_line_items": "invoice_id",
}


def upgrade() -> None:
    for name, parent_column in PARENT_COLUMNS.items():
        key = ["workspace_id", "provider", "livemode", parent_column, "id", "occurrence"]
        op.create_index(f"{name}_key_idx", name, key, unique=True, schema="payments")
    for name in PARENT_COLUMNS:
        op.execute(
            f"ALTER TABLE payments.{name} DROP CONSTRAINT {name}_pkey, "
            f"ADD CONSTRAINT {name}_pkey PRIMARY KEY USING INDEX {name}_key_idx"
        )
        op.drop_index(f"{name}_parent_idx", name, schema="payments")
