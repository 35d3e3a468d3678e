"""What invoices were paid by."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from cyphera_pipelines.store.migrations.new_entities import keep_raw_as_others_do

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invoice_payments",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider", sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("id", sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column("invoice_id", sa.Text(), nullable=False, comment="Id of the invoice"),
        sa.Column("status", sa.Text(), nullable=True, comment="paid, open, failed or canceled"),
        sa.Column(
            "amount_requested",
            sa.BigInteger(),
            nullable=True,
            comment="What was to be paid by it, in minor units of `currency`",
        ),
        sa.Column(
            "amount_paid",
            sa.BigInteger(),
            nullable=True,
            comment="What was paid by it; NULL where it was not, in minor units of `currency`",
        ),
        sa.Column("currency", sa.Text(), nullable=True, comment="Lower-case ISO code of the invoice's currency"),
        sa.Column(
            "type",
            sa.Text(),
            nullable=True,
            comment="What it was made by: payment_intent, charge, payment_record or transaction",
        ),
        sa.Column("payment_intent_id", sa.Text(), nullable=True, comment="Id of the payment intent"),
        sa.Column("charge_id", sa.Text(), nullable=True, comment="Id of the charge, where there is no payment intent"),
        sa.Column(
            "transaction_id",
            sa.Text(),
            nullable=True,
            comment="Id of the transaction, or of the record of what was paid elsewhere",
        ),
        sa.Column(
            "is_default",
            sa.Boolean(),
            nullable=True,
            comment="Whether the provider made it by itself when the invoice was finalized",
        ),
        sa.Column(
            "paid_out_of_band",
            sa.Boolean(),
            nullable=True,
            comment="Whether it was paid elsewhere and only recorded at the provider",
        ),
        sa.Column("created", sa.DateTime(timezone=True), nullable=True, comment="When it was made"),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True, comment="When it was paid"),
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
            "workspace_id", "provider", "livemode", "invoice_id", "id", "occurrence", name=op.f("invoice_payments_pkey")
        ),
        schema="payments",
        comment="Payments towards invoices, with what they were made by",
    )
    keep_raw_as_others_do("invoice_payments")
