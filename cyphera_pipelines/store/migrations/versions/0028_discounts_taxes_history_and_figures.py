"""Discounts, tax ids and rates; what subscriptions were; figures that are kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from cyphera_pipelines.store.migrations.new_entities import keep_raw_as_others_do

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS figures")

    op.create_table(
        "figure_builds",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column(
            "built_at", sa.DateTime(timezone=True), nullable=False, comment="When figures were last brought in step"
        ),
        sa.Column(
            "seen_until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="What was written before this moment is in the figures",
        ),
        sa.Column(
            "rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="The rules that they were made by"
        ),
        sa.Column(
            "rules_digest",
            sa.Text(),
            nullable=False,
            comment="Tells those rules and this release's way of counting apart",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "provider", "livemode", name=op.f("figure_builds_pkey")),
        schema="figures",
        comment="Until when each source's figures are in step with its tables",
    )
    op.create_table(
        "mrr_movements",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("customer_id", sa.Text(), nullable=False, comment="Id of the customer"),
        sa.Column("currency", sa.Text(), nullable=False, comment="Lower-case ISO code of the currency"),
        sa.Column("day", sa.Date(), nullable=False, comment="The day, in UTC"),
        sa.Column("movement", sa.Text(), nullable=False, comment="new, expansion, contraction, churn or reactivation"),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=False,
            comment="What brought it about, as in quantity, price or discount_ended",
        ),
        sa.Column(
            "opening", sa.BigInteger(), nullable=False, comment="The customer's MRR when the day began, in minor units"
        ),
        sa.Column(
            "closing", sa.BigInteger(), nullable=False, comment="The customer's MRR when the day ended, in minor units"
        ),
        sa.Column("change", sa.BigInteger(), nullable=False, comment="closing - opening, in minor units"),
        sa.Column(
            "gap_days",
            sa.Integer(),
            nullable=True,
            comment="Of a reactivation: days since the customer's MRR had ended; otherwise NULL",
        ),
        sa.Column("provenance", sa.Text(), nullable=False, comment="observed, or reconstructed from invoice lines"),
        sa.CheckConstraint(
            "movement IN ('new', 'expansion', 'contraction', 'churn', 'reactivation')",
            name=op.f("mrr_movements_movement_check"),
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id", "provider", "livemode", "customer_id", "currency", "day", name=op.f("mrr_movements_pkey")
        ),
        schema="figures",
        comment="How each customer's MRR moved: one row per customer, currency and day on which it changed",
    )
    op.create_table(
        "subscription_mrr",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("subscription_id", sa.Text(), nullable=False, comment="Id of the subscription"),
        sa.Column("item_id", sa.Text(), nullable=False, comment="Id of the subscription item"),
        sa.Column(
            "occurrence",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="0; 1, 2, ... for further rows of one parent that the provider gave the same id, in its order",
        ),
        sa.Column(
            "valid_from", sa.DateTime(timezone=True), nullable=False, comment="From when the item brought this much"
        ),
        sa.Column(
            "valid_to", sa.DateTime(timezone=True), nullable=True, comment="Until when, exclusive; NULL while it does"
        ),
        sa.Column("customer_id", sa.Text(), nullable=True, comment="Id of the customer"),
        sa.Column(
            "currency",
            sa.Text(),
            nullable=True,
            comment="Lower-case ISO code of the currency; NULL where it is not known",
        ),
        sa.Column("status", sa.Text(), nullable=True, comment="The subscription's status; NULL before the first sync"),
        sa.Column("price_id", sa.Text(), nullable=True, comment="Id of the price"),
        sa.Column("product_id", sa.Text(), nullable=True, comment="Id of the product"),
        sa.Column("quantity", sa.Numeric(), nullable=True, comment="How many units"),
        sa.Column("recurring_interval", sa.Text(), nullable=True, comment="day, week, month or year"),
        sa.Column(
            "recurring_interval_count", sa.BigInteger(), nullable=True, comment="Number of intervals between two bills"
        ),
        sa.Column(
            "gross",
            sa.Numeric(),
            nullable=True,
            comment="What a bill has for the item before discounts, in minor units, exactly",
        ),
        sa.Column(
            "discounted",
            sa.Numeric(),
            nullable=True,
            comment="What discounts that count take off a bill, in minor units, exactly",
        ),
        sa.Column(
            "taxed",
            sa.Numeric(),
            nullable=True,
            comment="Tax that is contained in what is left, in minor units, exactly",
        ),
        sa.Column(
            "mrr", sa.BigInteger(), nullable=False, comment="Monthly recurring revenue, in minor units of `currency`"
        ),
        sa.Column(
            "left_out_by",
            sa.Text(),
            nullable=True,
            comment="The rule by which it counts nothing, as in trialing; NULL where it counts, be it with 0",
        ),
        sa.Column(
            "ends_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it is known to end; NULL where nothing is",
        ),
        sa.Column(
            "steps",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="How gross and discounted came to be: tiers and discounts, each with its amount; NULL if no such",
        ),
        sa.Column("provenance", sa.Text(), nullable=False, comment="observed, or reconstructed from invoice lines"),
        sa.Column(
            "is_estimated",
            sa.Boolean(),
            nullable=False,
            comment="Whether a part of it, as its tax, had to be estimated",
        ),
        sa.CheckConstraint(
            "provenance IN ('observed', 'reconstructed')", name=op.f("subscription_mrr_provenance_check")
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id",
            "provider",
            "livemode",
            "subscription_id",
            "item_id",
            "occurrence",
            "valid_from",
            name=op.f("subscription_mrr_pkey"),
        ),
        schema="figures",
        comment="What each subscription item brought in a month: one row per item and time without a change",
    )
    op.create_index(
        "subscription_mrr_customer_idx",
        "subscription_mrr",
        ["workspace_id", "provider", "livemode", "customer_id"],
        unique=False,
        schema="figures",
    )
    op.create_table(
        "customer_discount_history",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("customer_id", sa.Text(), nullable=False, comment="Id of the customer"),
        sa.Column(
            "held_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The provider held this state from this moment, or an earlier one, until the next state's",
        ),
        sa.Column(
            "discounts",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The discounts on the customer, in their order, as in payments.customer_discounts",
        ),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row was written",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id",
            "provider",
            "livemode",
            "customer_id",
            "held_at",
            name=op.f("customer_discount_history_pkey"),
        ),
        schema="payments",
        comment="Discounts of customers: one row for each state that differed from the one before; none while a customer never had one",
    )
    op.create_table(
        "customer_discounts",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("id", sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column("customer_id", sa.Text(), nullable=False, comment="Id of the customer"),
        sa.Column(
            "position",
            sa.BigInteger(),
            nullable=True,
            comment="Its place among the discounts of the same object, from 0: they are taken off in that order",
        ),
        sa.Column(
            "coupon_id",
            sa.Text(),
            nullable=True,
            comment="Id of the coupon; NULL for a discount that was made for this object alone",
        ),
        sa.Column("coupon_name", sa.Text(), nullable=True, comment="Name of the coupon, as customers see it"),
        sa.Column(
            "promotion_code_id", sa.Text(), nullable=True, comment="Id of the promotion code that the customer entered"
        ),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=True,
            comment="percent or amount; NULL where the provider does not tell, as of a coupon that is gone",
        ),
        sa.Column(
            "percent_off",
            sa.Numeric(),
            nullable=True,
            comment="How much is taken off, in percent; NULL where it is an amount",
        ),
        sa.Column(
            "amount_off",
            sa.BigInteger(),
            nullable=True,
            comment="How much is taken off; NULL where it is a percentage, in minor units of `currency`",
        ),
        sa.Column("currency", sa.Text(), nullable=True, comment="Lower-case ISO code of the currency of `amount_off`"),
        sa.Column("duration", sa.Text(), nullable=True, comment="once, repeating or forever"),
        sa.Column(
            "duration_in_months",
            sa.BigInteger(),
            nullable=True,
            comment="For how many months it applies, where it is repeating",
        ),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True, comment="From when it applies"),
        sa.Column(
            "ends_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it stops to apply; NULL for one without an end, and for one that applies once",
        ),
        sa.Column(
            "product_ids",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="Ids of the products that it is limited to; NULL where it is for all of them",
        ),
        sa.Column(
            "raw",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="The provider's object as it was received; NULL where the configuration switches it off",
        ),
        sa.Column(
            "content_hash",
            postgresql.BYTEA(),
            nullable=False,
            comment="Hash of the object's content: an unchanged object is not rewritten",
        ),
        sa.Column(
            "source_version",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The provider held this state at this moment or later; an older state never replaces a newer one",
        ),
        sa.Column(
            "synced_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row was last written",
        ),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the object was found to be gone at the provider; NULL while it exists",
        ),
        sa.Column(
            "occurrence",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="0; 1, 2, ... for further rows of one parent that the provider gave the same id, in its order",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id",
            "provider",
            "livemode",
            "customer_id",
            "id",
            "occurrence",
            name=op.f("customer_discounts_pkey"),
        ),
        schema="payments",
        comment="Discounts on customers: they apply to the subscriptions that have none of their own",
    )
    op.create_table(
        "customer_tax_ids",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("id", sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column("customer_id", sa.Text(), nullable=False, comment="Id of the customer"),
        sa.Column("type", sa.Text(), nullable=True, comment="What kind of number it is, as in eu_vat"),
        sa.Column("value", sa.Text(), nullable=True, comment="The number"),
        sa.Column("country", sa.Text(), nullable=True, comment="Two-letter country code"),
        sa.Column(
            "verification_status", sa.Text(), nullable=True, comment="pending, verified, unverified or unavailable"
        ),
        sa.Column("created", sa.DateTime(timezone=True), nullable=True, comment="When it was entered"),
        sa.Column(
            "raw",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="The provider's object as it was received; NULL where the configuration switches it off",
        ),
        sa.Column(
            "content_hash",
            postgresql.BYTEA(),
            nullable=False,
            comment="Hash of the object's content: an unchanged object is not rewritten",
        ),
        sa.Column(
            "source_version",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The provider held this state at this moment or later; an older state never replaces a newer one",
        ),
        sa.Column(
            "synced_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row was last written",
        ),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the object was found to be gone at the provider; NULL while it exists",
        ),
        sa.Column(
            "occurrence",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="0; 1, 2, ... for further rows of one parent that the provider gave the same id, in its order",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id",
            "provider",
            "livemode",
            "customer_id",
            "id",
            "occurrence",
            name=op.f("customer_tax_ids_pkey"),
        ),
        schema="payments",
        comment="Tax ids of customers, as in the number for VAT",
    )
    op.create_table(
        "invoice_discounts",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("id", sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column("invoice_id", sa.Text(), nullable=False, comment="Id of the invoice"),
        sa.Column(
            "position",
            sa.BigInteger(),
            nullable=True,
            comment="Its place among the discounts of the same object, from 0: they are taken off in that order",
        ),
        sa.Column(
            "coupon_id",
            sa.Text(),
            nullable=True,
            comment="Id of the coupon; NULL for a discount that was made for this object alone",
        ),
        sa.Column("coupon_name", sa.Text(), nullable=True, comment="Name of the coupon, as customers see it"),
        sa.Column(
            "promotion_code_id", sa.Text(), nullable=True, comment="Id of the promotion code that the customer entered"
        ),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=True,
            comment="percent or amount; NULL where the provider does not tell, as of a coupon that is gone",
        ),
        sa.Column(
            "percent_off",
            sa.Numeric(),
            nullable=True,
            comment="How much is taken off, in percent; NULL where it is an amount",
        ),
        sa.Column(
            "amount_off",
            sa.BigInteger(),
            nullable=True,
            comment="How much is taken off; NULL where it is a percentage, in minor units of `currency`",
        ),
        sa.Column("currency", sa.Text(), nullable=True, comment="Lower-case ISO code of the currency of `amount_off`"),
        sa.Column("duration", sa.Text(), nullable=True, comment="once, repeating or forever"),
        sa.Column(
            "duration_in_months",
            sa.BigInteger(),
            nullable=True,
            comment="For how many months it applies, where it is repeating",
        ),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True, comment="From when it applies"),
        sa.Column(
            "ends_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it stops to apply; NULL for one without an end, and for one that applies once",
        ),
        sa.Column(
            "product_ids",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="Ids of the products that it is limited to; NULL where it is for all of them",
        ),
        sa.Column(
            "discounted",
            sa.BigInteger(),
            nullable=True,
            comment="What it took off the whole invoice, in minor units of `currency`",
        ),
        sa.Column(
            "raw",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="The provider's object as it was received; NULL where the configuration switches it off",
        ),
        sa.Column(
            "content_hash",
            postgresql.BYTEA(),
            nullable=False,
            comment="Hash of the object's content: an unchanged object is not rewritten",
        ),
        sa.Column(
            "source_version",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The provider held this state at this moment or later; an older state never replaces a newer one",
        ),
        sa.Column(
            "synced_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row was last written",
        ),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the object was found to be gone at the provider; NULL while it exists",
        ),
        sa.Column(
            "occurrence",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="0; 1, 2, ... for further rows of one parent that the provider gave the same id, in its order",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id",
            "provider",
            "livemode",
            "invoice_id",
            "id",
            "occurrence",
            name=op.f("invoice_discounts_pkey"),
        ),
        schema="payments",
        comment="Discounts that were taken off invoices, with what each took off",
    )
    op.create_table(
        "subscription_discounts",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("id", sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column("subscription_id", sa.Text(), nullable=False, comment="Id of the subscription"),
        sa.Column(
            "subscription_item_id",
            sa.Text(),
            nullable=True,
            comment="Id of the item that it is on; NULL where it is on the whole subscription",
        ),
        sa.Column(
            "position",
            sa.BigInteger(),
            nullable=True,
            comment="Its place among the discounts of the same object, from 0: they are taken off in that order",
        ),
        sa.Column(
            "coupon_id",
            sa.Text(),
            nullable=True,
            comment="Id of the coupon; NULL for a discount that was made for this object alone",
        ),
        sa.Column("coupon_name", sa.Text(), nullable=True, comment="Name of the coupon, as customers see it"),
        sa.Column(
            "promotion_code_id", sa.Text(), nullable=True, comment="Id of the promotion code that the customer entered"
        ),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=True,
            comment="percent or amount; NULL where the provider does not tell, as of a coupon that is gone",
        ),
        sa.Column(
            "percent_off",
            sa.Numeric(),
            nullable=True,
            comment="How much is taken off, in percent; NULL where it is an amount",
        ),
        sa.Column(
            "amount_off",
            sa.BigInteger(),
            nullable=True,
            comment="How much is taken off; NULL where it is a percentage, in minor units of `currency`",
        ),
        sa.Column("currency", sa.Text(), nullable=True, comment="Lower-case ISO code of the currency of `amount_off`"),
        sa.Column("duration", sa.Text(), nullable=True, comment="once, repeating or forever"),
        sa.Column(
            "duration_in_months",
            sa.BigInteger(),
            nullable=True,
            comment="For how many months it applies, where it is repeating",
        ),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True, comment="From when it applies"),
        sa.Column(
            "ends_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it stops to apply; NULL for one without an end, and for one that applies once",
        ),
        sa.Column(
            "product_ids",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="Ids of the products that it is limited to; NULL where it is for all of them",
        ),
        sa.Column(
            "raw",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="The provider's object as it was received; NULL where the configuration switches it off",
        ),
        sa.Column(
            "content_hash",
            postgresql.BYTEA(),
            nullable=False,
            comment="Hash of the object's content: an unchanged object is not rewritten",
        ),
        sa.Column(
            "source_version",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The provider held this state at this moment or later; an older state never replaces a newer one",
        ),
        sa.Column(
            "synced_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row was last written",
        ),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the object was found to be gone at the provider; NULL while it exists",
        ),
        sa.Column(
            "occurrence",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="0; 1, 2, ... for further rows of one parent that the provider gave the same id, in its order",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id",
            "provider",
            "livemode",
            "subscription_id",
            "id",
            "occurrence",
            name=op.f("subscription_discounts_pkey"),
        ),
        schema="payments",
        comment="Discounts on subscriptions and on their items",
    )
    op.create_table(
        "subscription_history",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("subscription_id", sa.Text(), nullable=False, comment="Id of the subscription"),
        sa.Column(
            "held_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The provider held this state from this moment, or an earlier one, until the next state's",
        ),
        sa.Column("customer_id", sa.Text(), nullable=True, comment="Id of the customer"),
        sa.Column("status", sa.Text(), nullable=True, comment="As in payments.subscriptions"),
        sa.Column("currency", sa.Text(), nullable=True, comment="Lower-case ISO code of the subscription's currency"),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False, comment="When the subscription was created"),
        sa.Column(
            "start_date",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the subscription began, possibly before it was created here",
        ),
        sa.Column("trial_start", sa.DateTime(timezone=True), nullable=True, comment="When the trial began"),
        sa.Column("trial_end", sa.DateTime(timezone=True), nullable=True, comment="When the trial ends"),
        sa.Column("canceled_at", sa.DateTime(timezone=True), nullable=True, comment="When cancellation was asked for"),
        sa.Column(
            "cancel_at", sa.DateTime(timezone=True), nullable=True, comment="When the subscription will be canceled"
        ),
        sa.Column(
            "cancel_at_period_end",
            sa.Boolean(),
            nullable=True,
            comment="Whether the subscription ends with the current period",
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True, comment="When the subscription ended"),
        sa.Column(
            "pause_collection_behavior",
            sa.Text(),
            nullable=True,
            comment="What happens to invoices while collection is paused; NULL if not",
        ),
        sa.Column(
            "pause_collection_resumes_at", sa.DateTime(timezone=True), nullable=True, comment="When collection resumes"
        ),
        sa.Column(
            "is_gone",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Whether it was gone by then",
        ),
        sa.Column(
            "items",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Its items, in the order of their ids: the columns of payments.subscription_items that tell what they cost, with the price as it was then",
        ),
        sa.Column(
            "discounts",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The discounts on it and its items, in their order, as in payments.subscription_discounts",
        ),
        sa.Column(
            "tax_rates",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The tax rates of it and its items, in their order, as in payments.subscription_tax_rates",
        ),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row was written",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id", "provider", "livemode", "subscription_id", "held_at", name=op.f("subscription_history_pkey")
        ),
        schema="payments",
        comment="States of subscriptions: one row for each that differed from the one before, from the first sync on",
    )
    op.create_table(
        "subscription_tax_rates",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("id", sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column("subscription_id", sa.Text(), nullable=False, comment="Id of the subscription"),
        sa.Column(
            "subscription_item_id",
            sa.Text(),
            nullable=True,
            comment="Id of the item that it is for; NULL where it is for the whole subscription",
        ),
        sa.Column(
            "position",
            sa.BigInteger(),
            nullable=True,
            comment="Its place among the tax rates of the same object, from 0",
        ),
        sa.Column("tax_rate_id", sa.Text(), nullable=True, comment="Id of the tax rate"),
        sa.Column("display_name", sa.Text(), nullable=True, comment="What customers see it called, as in VAT"),
        sa.Column("percentage", sa.Numeric(), nullable=True, comment="The rate, in percent"),
        sa.Column("inclusive", sa.Boolean(), nullable=True, comment="Whether prices contain it already"),
        sa.Column("country", sa.Text(), nullable=True, comment="Two-letter country code"),
        sa.Column("jurisdiction", sa.Text(), nullable=True, comment="Where it is levied"),
        sa.Column(
            "raw",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
            comment="The provider's object as it was received; NULL where the configuration switches it off",
        ),
        sa.Column(
            "content_hash",
            postgresql.BYTEA(),
            nullable=False,
            comment="Hash of the object's content: an unchanged object is not rewritten",
        ),
        sa.Column(
            "source_version",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The provider held this state at this moment or later; an older state never replaces a newer one",
        ),
        sa.Column(
            "synced_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When this row was last written",
        ),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the object was found to be gone at the provider; NULL while it exists",
        ),
        sa.Column(
            "occurrence",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="0; 1, 2, ... for further rows of one parent that the provider gave the same id, in its order",
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id",
            "provider",
            "livemode",
            "subscription_id",
            "id",
            "occurrence",
            name=op.f("subscription_tax_rates_pkey"),
        ),
        schema="payments",
        comment="Tax rates of subscriptions and of their items, where they are set and not found out bill by bill",
    )
    op.create_table(
        "exchange_rates",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "currency", sa.Text(), nullable=False, comment="Lower-case ISO code of the currency that is converted"
        ),
        sa.Column(
            "into_currency",
            sa.Text(),
            nullable=False,
            comment="Lower-case ISO code of the currency that it is converted into",
        ),
        sa.Column("day", sa.Date(), nullable=False, comment="From which day on the rate counts, until the next one's"),
        sa.Column(
            "rate",
            sa.Numeric(),
            nullable=False,
            comment="What one whole unit of `currency` is in whole units of `into_currency`",
        ),
        sa.CheckConstraint("rate > 0", name=op.f("exchange_rates_rate_check")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["sync.workspaces.id"], name=op.f("exchange_rates_workspace_id_fkey")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "currency", "into_currency", "day", name=op.f("exchange_rates_pkey")),
        schema="figures",
        comment="Rates that a workspace has given: nothing is ever converted by others",
    )
    op.create_table(
        "figure_rules",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column("preset", sa.Text(), nullable=False, comment="The name of a set of rules, as in cyphera"),
        sa.Column(
            "changed",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Rules that differ from the preset's, by name",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When set",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name=op.f("figure_rules_workspace_id_fkey")),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("figure_rules_pkey")),
        schema="figures",
        comment="By which rules a workspace's figures are made, where it is not the preset cyphera",
    )
    for table in (
        "customer_discounts",
        "customer_tax_ids",
        "subscription_discounts",
        "subscription_tax_rates",
        "invoice_discounts",
    ):
        keep_raw_as_others_do(table)
