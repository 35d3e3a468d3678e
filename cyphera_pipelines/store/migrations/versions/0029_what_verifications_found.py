"""What verifications found: until now they told whoever started them, and nobody else."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "verifications",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column("provider_name", sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("entity_type", sa.Text(), nullable=False, comment="The entity that was compared with the provider"),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=False, comment="When the comparison began"),
        sa.Column(
            "rows_checked", sa.BigInteger(), nullable=False, comment="How many rows of the entity and its child tables"
        ),
        sa.Column(
            "open_differences",
            sa.BigInteger(),
            nullable=False,
            comment="How many rows were not as the provider has them, and were not mended then",
        ),
        sa.Column("unmappable", sa.BigInteger(), nullable=False, comment="How many objects no row could be made of"),
        sa.CheckConstraint(
            "entity_type IN ('customers', 'products', 'prices', 'subscriptions', 'invoices')",
            name=op.f("verifications_entity_type_check"),
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name=op.f("verifications_workspace_id_fkey")),
        sa.PrimaryKeyConstraint(
            "workspace_id", "provider_name", "livemode", "entity_type", name=op.f("verifications_pkey")
        ),
        schema="sync",
        comment="What the last verification of each entity that came to its end has found",
    )
