"""What is kept of revenue, month by month: whoever asked for it read every line of every invoice."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "billed_months",
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
            "known_invoices",
            sa.BigInteger(),
            nullable=False,
            comment="All of the month, whatever their status: shows whether one has moved to another month",
        ),
        sa.Column("finalized", sa.BigInteger(), nullable=False, comment="Invoices that were finalized, be they void"),
        sa.Column("invoices", sa.BigInteger(), nullable=False, comment="Of these, those that are not void"),
        sa.Column(
            "billed", sa.Numeric(), nullable=False, comment="Their totals without tax, after discounts, in minor units"
        ),
        sa.Column("taxes", sa.Numeric(), nullable=False, comment="Their taxes, in minor units"),
        sa.Column("total", sa.Numeric(), nullable=False, comment="Their totals, in minor units"),
        sa.Column(
            "discounts",
            sa.Numeric(),
            nullable=True,
            comment="What discounts took off them, in minor units; NULL where none is told",
        ),
        sa.Column("credited", sa.Numeric(), nullable=False, comment="What credit notes took off them, in minor units"),
        sa.Column("paid", sa.Numeric(), nullable=False, comment="What was paid of them, in minor units"),
        sa.Column(
            "outstanding",
            sa.Numeric(),
            nullable=False,
            comment="What is to be paid of those that are open, in minor units",
        ),
        sa.Column(
            "uncollectible", sa.Numeric(), nullable=False, comment="What those that were given up left, in minor units"
        ),
        sa.Column("voided", sa.Numeric(), nullable=False, comment="Totals of void invoices, in minor units"),
        sa.PrimaryKeyConstraint(
            "workspace_id", "provider", "livemode", "currency", "month", name=op.f("billed_months_pkey")
        ),
        schema="figures",
        comment="What was billed in each month: one row per currency and month",
    )
    op.create_table(
        "billed_prices",
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
        sa.Column("price_id", sa.Text(), nullable=False, comment="Id of the price"),
        sa.Column("product_id", sa.Text(), nullable=False, comment="Id of the product; empty where there is none"),
        sa.Column("customers", sa.BigInteger(), nullable=False, comment="Customers who were billed"),
        sa.Column("quantity", sa.Numeric(), nullable=True, comment="How many units they were billed for"),
        sa.Column(
            "revenue",
            sa.Numeric(),
            nullable=True,
            comment="What was billed after discounts, without tax, in whole units of `currency`",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id",
            "provider",
            "livemode",
            "currency",
            "month",
            "price_id",
            "product_id",
            name=op.f("billed_prices_pkey"),
        ),
        schema="figures",
        comment="What was billed by each price in each month: one row per currency, month, price and product",
    )
    op.create_table(
        "billed_products",
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
        sa.Column("product_id", sa.Text(), nullable=False, comment="Id of the product; empty where there is none"),
        sa.Column("customers", sa.BigInteger(), nullable=False, comment="Customers who were billed"),
        sa.Column("lines", sa.BigInteger(), nullable=False, comment="Lines of invoices that are not void"),
        sa.Column("quantity", sa.Numeric(), nullable=True, comment="How many units the lines are for"),
        sa.Column(
            "revenue",
            sa.Numeric(),
            nullable=True,
            comment="What was billed after discounts, without tax, in whole units of `currency`",
        ),
        sa.Column(
            "uncollectible",
            sa.Numeric(),
            nullable=True,
            comment="The part of it whose invoices were given up, in whole units",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id", "provider", "livemode", "currency", "month", "product_id", name=op.f("billed_products_pkey")
        ),
        schema="figures",
        comment="What was billed for each product in each month: one row per currency, month and product",
    )
    op.create_table(
        "revenue_builds",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column(
            "built_at", sa.DateTime(timezone=True), nullable=False, comment="When revenue was last brought in step"
        ),
        sa.Column(
            "seen_until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="What was written before this moment is in it",
        ),
        sa.Column("counted_by", sa.Text(), nullable=False, comment="Tells this release's way of counting from others"),
        sa.PrimaryKeyConstraint("workspace_id", "provider", "livemode", name=op.f("revenue_builds_pkey")),
        schema="figures",
        comment="Until when each source's revenue is in step with its invoices",
    )
    op.create_table(
        "revenue_periods",
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
        sa.Column("first_day", sa.Date(), nullable=False, comment="The first day for which the lines are"),
        sa.Column("day_after", sa.Date(), nullable=False, comment="The day after the last one"),
        sa.Column(
            "last_earned",
            sa.Date(),
            nullable=False,
            comment="From which day on nothing is earned any more, the invoice being void or given up; else infinity",
        ),
        sa.Column(
            "ended_month",
            sa.Date(),
            nullable=False,
            comment="The month in which that came about; infinity where it did not",
        ),
        sa.Column("is_void", sa.Boolean(), nullable=False, comment="Whether the invoices are void"),
        sa.Column(
            "net",
            sa.Numeric(),
            nullable=True,
            comment="The lines' sum after discounts, without tax, in whole units of `currency`",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id",
            "provider",
            "livemode",
            "currency",
            "month",
            "first_day",
            "day_after",
            "last_earned",
            "ended_month",
            "is_void",
            name=op.f("revenue_periods_pkey"),
        ),
        schema="figures",
        comment="What was billed for which days: one row per currency, month and days of lines that are earned alike",
    )
