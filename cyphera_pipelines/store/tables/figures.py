"""Figures that are kept: what each subscription item brings in a month, and how each customer's sum moved.

Schema `figures`. They follow from schema `payments` and the workspace's rules, and can be made anew at any time.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from cyphera_pipelines.model.synced_tables import OCCURRENCE, OCCURRENCE_COMMENT, SHARED_KEY_COLUMNS
from cyphera_pipelines.store.tables.metadata import CONTROL_SCHEMA, FIGURES_SCHEMA, metadata


def _shared() -> list[Column[Any]]:
    return [
        Column("workspace_id", UUID(as_uuid=True), primary_key=True, comment=SHARED_KEY_COLUMNS["workspace_id"]),
        Column("provider", Text, primary_key=True, comment=SHARED_KEY_COLUMNS["provider"]),
        Column("livemode", Boolean, primary_key=True, comment=SHARED_KEY_COLUMNS["livemode"]),
    ]


subscription_mrr = Table(
    "subscription_mrr",
    metadata,
    *_shared(),
    Column("subscription_id", Text, primary_key=True, comment="Id of the subscription"),
    Column("item_id", Text, primary_key=True, comment="Id of the subscription item"),
    Column(OCCURRENCE, BigInteger, primary_key=True, server_default=text("0"), comment=OCCURRENCE_COMMENT),
    Column("valid_from", DateTime(timezone=True), primary_key=True, comment="From when the item brought this much"),
    Column("valid_to", DateTime(timezone=True), comment="Until when, exclusive; NULL while it does"),
    Column("customer_id", Text, comment="Id of the customer"),
    Column("currency", Text, comment="Lower-case ISO code of the currency; NULL where it is not known"),
    Column("status", Text, comment="The subscription's status; NULL before the first sync"),
    Column("price_id", Text, comment="Id of the price"),
    Column("product_id", Text, comment="Id of the product"),
    Column("quantity", Numeric, comment="How many units"),
    Column("recurring_interval", Text, comment="day, week, month or year"),
    Column("recurring_interval_count", BigInteger, comment="Number of intervals between two bills"),
    Column("gross", Numeric, comment="What a bill has for the item before discounts, in minor units, exactly"),
    Column("discounted", Numeric, comment="What discounts that count take off a bill, in minor units, exactly"),
    Column("taxed", Numeric, comment="Tax that is contained in what is left, in minor units, exactly"),
    Column("mrr", BigInteger, nullable=False, comment="Monthly recurring revenue, in minor units of `currency`"),
    Column(
        "left_out_by",
        Text,
        comment="The rule by which it counts nothing, as in trialing; NULL where it counts, be it with 0",
    ),
    Column("ends_at", DateTime(timezone=True), comment="When it is known to end; NULL where nothing is"),
    Column(
        "steps",
        JSONB,
        comment="How gross and discounted came to be: tiers and discounts, each with its amount; NULL if no such",
    ),
    Column("provenance", Text, nullable=False, comment="observed, or reconstructed from invoice lines"),
    Column("is_estimated", Boolean, nullable=False, comment="Whether a part of it, as its tax, had to be estimated"),
    CheckConstraint("provenance IN ('observed', 'reconstructed')", name="provenance"),
    Index("subscription_mrr_customer_idx", "workspace_id", "provider", "livemode", "customer_id"),
    schema=FIGURES_SCHEMA,
    comment="What each subscription item brought in a month: one row per item and time without a change",
)

mrr_movements = Table(
    "mrr_movements",
    metadata,
    *_shared(),
    Column("customer_id", Text, primary_key=True, comment="Id of the customer"),
    Column("currency", Text, primary_key=True, comment="Lower-case ISO code of the currency"),
    Column("day", Date, primary_key=True, comment="The day, in UTC"),
    Column("movement", Text, nullable=False, comment="new, expansion, contraction, churn or reactivation"),
    Column("reason", Text, nullable=False, comment="What brought it about, as in quantity, price or discount_ended"),
    Column("opening", BigInteger, nullable=False, comment="The customer's MRR when the day began, in minor units"),
    Column("closing", BigInteger, nullable=False, comment="The customer's MRR when the day ended, in minor units"),
    Column("change", BigInteger, nullable=False, comment="closing - opening, in minor units"),
    Column("gap_days", Integer, comment="Of a reactivation: days since the customer's MRR had ended; otherwise NULL"),
    Column("provenance", Text, nullable=False, comment="observed, or reconstructed from invoice lines"),
    CheckConstraint(
        "movement IN ('new', 'expansion', 'contraction', 'churn', 'reactivation')",
        name="movement",
    ),
    schema=FIGURES_SCHEMA,
    comment="How each customer's MRR moved: one row per customer, currency and day on which it changed",
)

exchange_rates = Table(
    "exchange_rates",
    metadata,
    Column(
        "workspace_id",
        UUID(as_uuid=True),
        ForeignKey(f"{CONTROL_SCHEMA}.workspaces.id"),
        primary_key=True,
        comment=SHARED_KEY_COLUMNS["workspace_id"],
    ),
    Column("currency", Text, primary_key=True, comment="Lower-case ISO code of the currency that is converted"),
    Column(
        "into_currency", Text, primary_key=True, comment="Lower-case ISO code of the currency that it is converted into"
    ),
    Column("day", Date, primary_key=True, comment="From which day on the rate counts, until the next one's"),
    Column(
        "rate",
        Numeric,
        nullable=False,
        comment="What one whole unit of `currency` is in whole units of `into_currency`",
    ),
    CheckConstraint("rate > 0", name="rate"),
    schema=FIGURES_SCHEMA,
    comment="Rates that a workspace has given: nothing is ever converted by others",
)

figure_builds = Table(
    "figure_builds",
    metadata,
    *_shared(),
    Column("built_at", DateTime(timezone=True), nullable=False, comment="When figures were last brought in step"),
    Column(
        "seen_until",
        DateTime(timezone=True),
        nullable=False,
        comment="What was written before this moment is in the figures",
    ),
    Column("rules", JSONB, nullable=False, comment="The rules that they were made by"),
    Column("rules_digest", Text, nullable=False, comment="Tells those rules and this release's way of counting apart"),
    schema=FIGURES_SCHEMA,
    comment="Until when each source's figures are in step with its tables",
)

figure_rules = Table(
    "figure_rules",
    metadata,
    Column(
        "workspace_id",
        UUID(as_uuid=True),
        ForeignKey(f"{CONTROL_SCHEMA}.workspaces.id"),
        primary_key=True,
        comment=SHARED_KEY_COLUMNS["workspace_id"],
    ),
    Column("preset", Text, nullable=False, comment="The name of a set of rules, as in cyphera"),
    Column("changed", JSONB, nullable=False, comment="Rules that differ from the preset's, by name"),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=text("now()"), comment="When set"),
    schema=FIGURES_SCHEMA,
    comment="By which rules a workspace's figures are made, where it is not the preset cyphera",
)


def _of_month() -> list[Column[Any]]:
    return [
        *_shared(),
        Column(
            "currency", Text, primary_key=True, comment="Lower-case ISO code of the currency; empty where none is told"
        ),
        Column(
            "month",
            Date,
            primary_key=True,
            comment="The month in which the invoices were finalized, by its first day, in UTC",
        ),
    ]


billed_months = Table(
    "billed_months",
    metadata,
    *_of_month(),
    Column(
        "known_invoices",
        BigInteger,
        nullable=False,
        comment="All of the month, whatever their status: shows whether one has moved to another month",
    ),
    Column("finalized", BigInteger, nullable=False, comment="Invoices that were finalized, be they void"),
    Column("invoices", BigInteger, nullable=False, comment="Of these, those that are not void"),
    Column("billed", Numeric, nullable=False, comment="Their totals without tax, after discounts, in minor units"),
    Column("taxes", Numeric, nullable=False, comment="Their taxes, in minor units"),
    Column("total", Numeric, nullable=False, comment="Their totals, in minor units"),
    Column("discounts", Numeric, comment="What discounts took off them, in minor units; NULL where none is told"),
    Column("credited", Numeric, nullable=False, comment="What credit notes took off them, in minor units"),
    Column("paid", Numeric, nullable=False, comment="What was paid of them, in minor units"),
    Column("outstanding", Numeric, nullable=False, comment="What is to be paid of those that are open, in minor units"),
    Column("uncollectible", Numeric, nullable=False, comment="What those that were given up left, in minor units"),
    Column("voided", Numeric, nullable=False, comment="Totals of void invoices, in minor units"),
    schema=FIGURES_SCHEMA,
    comment="What was billed in each month: one row per currency and month",
)

paid_months = Table(
    "paid_months",
    metadata,
    *_of_month(),
    Column(
        "paid_month",
        Date,
        primary_key=True,
        comment="The month in which they were paid, by its first day, in UTC; infinity where that is not told",
    ),
    Column("invoices", BigInteger, nullable=False, comment="Invoices that are paid"),
    Column("paid", Numeric, nullable=False, comment="What was paid of them, in minor units"),
    schema=FIGURES_SCHEMA,
    comment="When what was billed was paid: one row per currency, month of finalization and month of payment",
)

billed_customers = Table(
    "billed_customers",
    metadata,
    *_shared(),
    Column("customer_id", Text, primary_key=True, comment="Id of the customer; empty where there is none"),
    Column("currency", Text, primary_key=True, comment="Lower-case ISO code of the currency; empty where none is told"),
    Column(
        "known_invoices",
        BigInteger,
        nullable=False,
        comment="All of the customer, whatever their status: shows whether one has moved to another customer",
    ),
    Column("invoices", BigInteger, nullable=False, comment="Invoices that were finalized and are not void"),
    Column("total", Numeric, nullable=False, comment="Their totals, in minor units"),
    Column("paid", Numeric, nullable=False, comment="What was paid of them, in minor units"),
    schema=FIGURES_SCHEMA,
    comment="What each customer was billed and paid: one row per customer and currency",
)

billed_products = Table(
    "billed_products",
    metadata,
    *_of_month(),
    Column("product_id", Text, primary_key=True, comment="Id of the product; empty where there is none"),
    Column("customers", BigInteger, nullable=False, comment="Customers who were billed"),
    Column("lines", BigInteger, nullable=False, comment="Lines of invoices that are not void"),
    Column("quantity", Numeric, comment="How many units the lines are for"),
    Column("revenue", Numeric, comment="What was billed after discounts, without tax, in whole units of `currency`"),
    Column("uncollectible", Numeric, comment="The part of it whose invoices were given up, in whole units"),
    schema=FIGURES_SCHEMA,
    comment="What was billed for each product in each month: one row per currency, month and product",
)

billed_prices = Table(
    "billed_prices",
    metadata,
    *_of_month(),
    Column("price_id", Text, primary_key=True, comment="Id of the price"),
    Column("product_id", Text, primary_key=True, comment="Id of the product; empty where there is none"),
    Column("customers", BigInteger, nullable=False, comment="Customers who were billed"),
    Column("quantity", Numeric, comment="How many units they were billed for"),
    Column("revenue", Numeric, comment="What was billed after discounts, without tax, in whole units of `currency`"),
    schema=FIGURES_SCHEMA,
    comment="What was billed by each price in each month: one row per currency, month, price and product",
)

revenue_periods = Table(
    "revenue_periods",
    metadata,
    *_of_month(),
    Column("first_day", Date, primary_key=True, comment="The first day for which the lines are"),
    Column("day_after", Date, primary_key=True, comment="The day after the last one"),
    Column(
        "last_earned",
        Date,
        primary_key=True,
        comment="From which day on nothing is earned any more, the invoice being void or given up; else infinity",
    ),
    Column(
        "ended_month", Date, primary_key=True, comment="The month in which that came about; infinity where it did not"
    ),
    Column("is_void", Boolean, primary_key=True, comment="Whether the invoices are void"),
    Column("net", Numeric, comment="The lines' sum after discounts, without tax, in whole units of `currency`"),
    schema=FIGURES_SCHEMA,
    comment="What was billed for which days: one row per currency, month and days of lines that are earned alike",
)

revenue_builds = Table(
    "revenue_builds",
    metadata,
    *_shared(),
    Column("built_at", DateTime(timezone=True), nullable=False, comment="When revenue was last brought in step"),
    Column(
        "seen_until",
        DateTime(timezone=True),
        nullable=False,
        comment="What was written before this moment is in it",
    ),
    Column("counted_by", Text, nullable=False, comment="Tells this release's way of counting from others"),
    schema=FIGURES_SCHEMA,
    comment="Until when each source's revenue is in step with its invoices",
)

monthly_revenue_tables = (billed_months, paid_months, billed_products, billed_prices, revenue_periods)
"""What is kept of revenue, month by month."""

revenue_tables = (*monthly_revenue_tables, billed_customers)
"""All that is kept of revenue."""

figure_tables = (
    subscription_mrr,
    mrr_movements,
    exchange_rates,
    figure_builds,
    figure_rules,
    *revenue_tables,
    revenue_builds,
)
