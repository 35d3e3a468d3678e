"""What is kept of who paid how much, and when: whoever asked for it read every invoice."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "billed_customers",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("customer_id", sa.Text(), nullable=False, comment="Id of the customer; empty where there is none"),
        sa.Column(
            "currency",
            sa.Text(),
            nullable=False,
            comment="Lower-case ISO code of the currency; empty where none is told",
        ),
        sa.Column(
            "known_invoices",
            sa.BigInteger(),
            nullable=False,
            comment="All of the customer, whatever their status: shows whether one has moved to another customer",
        ),
        sa.Column("invoices", sa.BigInteger(), nullable=False, comment="Invoices that were finalized and are not void"),
        sa.Column("total", sa.Numeric(), nullable=False, comment="Their totals, in minor units"),
        sa.Column("paid", sa.Numeric(), nullable=False, comment="What was paid of them, in minor units"),
        sa.PrimaryKeyConstraint(
            "workspace_id", "provider", "livemode", "customer_id", "currency", name=op.f("billed_customers_pkey")
        ),
        schema="figures",
        comment="What each customer was billed and paid: one row per customer and currency",
    )
    op.create_table(
        "paid_months",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column(
            "currency",
            sa.Text(),
            nullable=False,
            comment="Lower-case ISO code of the currency; empty where none is told",
        ),
        sa.Column(
            "month",
            sa.Date(),
            nullable=False,
            comment="The month in which the invoices were finalized, by its first day, in UTC",
        ),
        sa.Column(
            "paid_month",
            sa.Date(),
            nullable=False,
            comment="The month in which they were paid, by its first day, in UTC; infinity where that is not told",
        ),
        sa.Column("invoices", sa.BigInteger(), nullable=False, comment="Invoices that are paid"),
        sa.Column("paid", sa.Numeric(), nullable=False, comment="What was paid of them, in minor units"),
        sa.PrimaryKeyConstraint(
            "workspace_id", "provider", "livemode", "currency", "month", "paid_month", name=op.f("paid_months_pkey")
        ),
        schema="figures",
        comment="When what was billed was paid: one row per currency, month of finalization and month of payment",
    )
