"""What prices cost in each currency, what items really cost, and how the rows of a position were made."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ITEM_CURRENCY = "Lower-case ISO code of the currency that the item is billed in: its subscription's"
ITEM_AMOUNT = (
    "Price of one unit; NULL for tiers and fractions of a minor unit, and where that currency's is not known, in minor "
    "units of `currency`"
)


def upgrade() -> None:
    add_price_currency_options()
    op.add_column(
        "subscription_items",
        sa.Column(
            "unit_amount_decimal",
            sa.Numeric(),
            nullable=True,
            comment="Price of one unit in minor units, with up to 12 decimals",
        ),
        schema="payments",
    )
    for name, kind, comment in (
        ("currency", sa.Text(), ITEM_CURRENCY),
        ("unit_amount", sa.BigInteger(), ITEM_AMOUNT),
    ):
        op.alter_column("subscription_items", name, existing_type=kind, comment=comment, schema="payments")
    op.execute(BILLED_IN_THE_SUBSCRIPTION_S_CURRENCY)
    op.add_column(
        "sync_cursors",
        sa.Column(
            "mapping_version",
            sa.BigInteger(),
            nullable=True,
            comment="How the last listing made rows of objects; all is listed anew if the program does it in another way",
        ),
        schema="sync",
    )


# An amount in the price's own currency is wrong for an item that is billed in another one: better none.
BILLED_IN_THE_SUBSCRIPTION_S_CURRENCY = """
UPDATE payments.subscription_items AS item
SET currency = coalesce(told.billed_in, item.currency),
    unit_amount = CASE WHEN told.is_own THEN item.unit_amount END,
    unit_amount_decimal = CASE WHEN told.is_own THEN told.amount END
FROM (
    SELECT part.workspace_id, part.provider, part.livemode, part.subscription_id, part.id, part.occurrence,
        whole.currency AS billed_in, whole.currency IS NULL OR whole.currency = part.currency AS is_own,
        CASE WHEN part.raw->'price'->>'unit_amount_decimal' ~ '^[+-]?[0-9]{1,30}([.][0-9]{1,12})?$'
            THEN CAST(part.raw->'price'->>'unit_amount_decimal' AS numeric) ELSE part.unit_amount END AS amount
    FROM payments.subscription_items AS part
    JOIN payments.subscriptions AS whole ON whole.workspace_id = part.workspace_id AND whole.provider = part.provider
        AND whole.livemode = part.livemode AND whole.id = part.subscription_id
) AS told
WHERE told.workspace_id = item.workspace_id AND told.provider = item.provider AND told.livemode = item.livemode
AND told.subscription_id = item.subscription_id AND told.id = item.id AND told.occurrence = item.occurrence
AND (told.amount IS NOT NULL OR told.is_own IS NOT TRUE)
"""


def add_price_currency_options() -> None:
    op.create_table(
        "price_currency_options",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "provider",
            sa.Text(),
            nullable=False,
            comment="The payment provider that the row came from, as in 'stripe'",
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("id", sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column("price_id", sa.Text(), nullable=False, comment="Id of the price"),
        sa.Column("currency", sa.Text(), nullable=False, comment="Lower-case ISO code of the currency"),
        sa.Column(
            "unit_amount",
            sa.BigInteger(),
            nullable=True,
            comment="Price of one unit; NULL for tiered prices and for fractions of a minor unit, in minor units of "
            "`currency`",
        ),
        sa.Column(
            "unit_amount_decimal",
            sa.Numeric(),
            nullable=True,
            comment="Price of one unit in minor units, with up to 12 decimals",
        ),
        sa.Column("tax_behavior", sa.Text(), nullable=True, comment="inclusive, exclusive or unspecified"),
        sa.Column(
            "custom_unit_amount",
            postgresql.JSONB(none_as_null=True),
            nullable=True,
            comment="Bounds where the customer chooses the amount",
        ),
        sa.Column(
            "tiers",
            postgresql.JSONB(none_as_null=True),
            nullable=True,
            comment="Tiers in this currency, lowest first; NULL where there are none",
        ),
        sa.Column(
            "raw",
            postgresql.JSONB(none_as_null=True),
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
            "price_id",
            "id",
            "occurrence",
            name="price_currency_options_pkey",
        ),
        schema="payments",
        comment="What prices cost in each currency that they name; `id` is '<price id>:<currency>'",
    )
