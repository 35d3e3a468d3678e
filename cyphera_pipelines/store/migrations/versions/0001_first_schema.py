"""The first schema: control tables, synced tables, and row-level security on all of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SYNCED_TABLES = (
    "customers",
    "products",
    "prices",
    "price_tiers",
    "subscriptions",
    "subscription_items",
    "invoices",
    "invoice_line_items",
)
CONTROL_TABLES = (
    "workspace_payment_configurations",
    "workspace_provider_accounts",
    "payment_sync_sessions",
    "payment_sync_events",
    "sync_cursors",
)
# The sub-select makes Postgres evaluate the setting once per statement, and an unset workspace sees nothing.
CURRENT_WORKSPACE = "(SELECT nullif(current_setting('cyphera.workspace_id', true), '')::uuid)"


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS payments")
    create_tables()
    create_tenant_role()
    for table in SYNCED_TABLES:
        isolate(f"payments.{table}", "workspace_id", "SELECT, INSERT, UPDATE")
    for table in CONTROL_TABLES:
        isolate(f"sync.{table}", "workspace_id", "SELECT, INSERT, UPDATE")
    isolate("sync.workspaces", "id", "SELECT")


def create_tenant_role() -> None:
    """Roles belong to the server, not to the database: another database may have made it already."""
    op.execute(
        """
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cyphera_tenant') THEN
                CREATE ROLE cyphera_tenant NOLOGIN;
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END $$;
        DO $$ BEGIN
            -- Before 16 a member may always enter a role, and Postgres knows no 'SET'.
            IF NOT pg_has_role(
                current_user,
                'cyphera_tenant',
                CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END
            ) THEN
                EXECUTE format('GRANT cyphera_tenant TO %I', current_user);
            END IF;
            EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO cyphera_tenant', current_database());
        END $$;
        GRANT USAGE ON SCHEMA sync, payments TO cyphera_tenant;
        """
    )


def isolate(table: str, workspace_column: str, privileges: str) -> None:
    """Let the tenant role touch only the rows of the workspace that its transaction names."""
    op.execute(f"GRANT {privileges} ON {table} TO cyphera_tenant")
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY own_workspace ON {table} TO cyphera_tenant "
        f"USING ({workspace_column} = {CURRENT_WORKSPACE}) WITH CHECK ({workspace_column} = {CURRENT_WORKSPACE})"
    )


# fmt: off
def create_tables() -> None:
    op.create_table('customers',
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider', sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"),
        sa.Column('livemode', sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"),
        sa.Column('id', sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column('created', sa.DateTime(timezone=True), nullable=False, comment='When the customer was created'),
        sa.Column('email', sa.Text(), nullable=True, comment='Email address'),
        sa.Column('name', sa.Text(), nullable=True, comment='Full name or business name'),
        sa.Column('phone', sa.Text(), nullable=True, comment='Telephone number'),
        sa.Column('description', sa.Text(), nullable=True, comment='Free text kept on the customer'),
        sa.Column('currency', sa.Text(), nullable=True, comment='Lower-case ISO code of the currency that the customer is charged in'),
        sa.Column('balance', sa.BigInteger(), nullable=True, comment='Account balance: negative is credit for the next invoice, positive is owed, in minor units of `currency`'),
        sa.Column('delinquent', sa.Boolean(), nullable=True, comment='Whether the latest charge or invoice of the customer failed'),
        sa.Column('tax_exempt', sa.Text(), nullable=True, comment='Tax exemption: none, exempt or reverse'),
        sa.Column('invoice_prefix', sa.Text(), nullable=True, comment="Prefix of the customer's invoice numbers"),
        sa.Column('default_source_id', sa.Text(), nullable=True, comment='Id of the default payment source'),
        sa.Column('default_payment_method_id', sa.Text(), nullable=True, comment='Id of the default payment method for invoices'),
        sa.Column('address_line1', sa.Text(), nullable=True, comment='Address, first line'),
        sa.Column('address_line2', sa.Text(), nullable=True, comment='Address, second line'),
        sa.Column('address_city', sa.Text(), nullable=True, comment='City'),
        sa.Column('address_state', sa.Text(), nullable=True, comment='State, county or province'),
        sa.Column('address_postal_code', sa.Text(), nullable=True, comment='Postal code'),
        sa.Column('address_country', sa.Text(), nullable=True, comment='Two-letter country code'),
        sa.Column('preferred_locales', postgresql.JSONB(none_as_null=True), nullable=True, comment='Preferred languages, best first'),
        sa.Column('shipping', postgresql.JSONB(none_as_null=True), nullable=True, comment='Shipping name, phone and address'),
        sa.Column('discount', postgresql.JSONB(none_as_null=True), nullable=True, comment="The discount that applies to all of the customer's charges"),
        sa.Column('test_clock_id', sa.Text(), nullable=True, comment='Id of the test clock that the customer belongs to'),
        sa.Column('metadata', postgresql.JSONB(none_as_null=True), nullable=True, comment='Key-value pairs that the workspace keeps on the object at the provider'),
        sa.Column('raw', postgresql.JSONB(none_as_null=True), nullable=True, comment="The provider's object as it was received; NULL where the configuration switches it off"),
        sa.Column('content_hash', postgresql.BYTEA(), nullable=False, comment="Hash of the object's content: an unchanged object is not rewritten"),
        sa.Column('source_version', sa.DateTime(timezone=True), nullable=False, comment='The provider held this state at this moment or later; an older state never replaces a newer one'),
        sa.Column('synced_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When this row was last written'),
        sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True, comment='When the object was found to be gone at the provider; NULL while it exists'),
        sa.PrimaryKeyConstraint('workspace_id', 'provider', 'livemode', 'id', name=('customers_pkey')),
        schema='payments',
        comment='Customers: the people and companies that are billed'
    )
    op.create_index('customers_created_idx', 'customers', ['workspace_id', 'provider', 'livemode', 'created'], unique=False, schema='payments')
    op.create_table('invoice_line_items',
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider', sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"),
        sa.Column('livemode', sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"),
        sa.Column('id', sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column('invoice_id', sa.Text(), nullable=False, comment='Id of the invoice'),
        sa.Column('line_index', sa.BigInteger(), nullable=False, comment='Position of the line on the invoice, from 0'),
        sa.Column('amount', sa.BigInteger(), nullable=True, comment="The line's amount before invoice-level discounts and exclusive tax, in minor units of `currency`"),
        sa.Column('subtotal', sa.BigInteger(), nullable=True, comment="The line's amount before any discount, in minor units of `currency`"),
        sa.Column('currency', sa.Text(), nullable=True, comment="Lower-case ISO code of the invoice's currency"),
        sa.Column('description', sa.Text(), nullable=True, comment='Text of the line'),
        sa.Column('quantity', sa.BigInteger(), nullable=True, comment='How many units; NULL where there is no quantity'),
        sa.Column('quantity_decimal', sa.Numeric(), nullable=True, comment='How many units, with decimals'),
        sa.Column('unit_amount_decimal', sa.Numeric(), nullable=True, comment='Price of one unit in minor units, with up to 12 decimals'),
        sa.Column('price_id', sa.Text(), nullable=True, comment='Id of the price'),
        sa.Column('product_id', sa.Text(), nullable=True, comment='Id of the product'),
        sa.Column('parent_type', sa.Text(), nullable=True, comment='What the line came from: subscription_item_details or invoice_item_details'),
        sa.Column('subscription_id', sa.Text(), nullable=True, comment='Id of the subscription that the line was made for'),
        sa.Column('subscription_item_id', sa.Text(), nullable=True, comment='Id of the subscription item that the line was made for'),
        sa.Column('invoice_item_id', sa.Text(), nullable=True, comment='Id of the invoice item that the line was made from'),
        sa.Column('proration', sa.Boolean(), nullable=True, comment='Whether the line corrects an earlier bill'),
        sa.Column('discountable', sa.Boolean(), nullable=True, comment='Whether discounts apply to the line'),
        sa.Column('period_start', sa.DateTime(timezone=True), nullable=True, comment='Start of the period that the line is for'),
        sa.Column('period_end', sa.DateTime(timezone=True), nullable=True, comment='End of the period that the line is for'),
        sa.Column('discount_amounts', postgresql.JSONB(none_as_null=True), nullable=True, comment='Amount of each discount on the line'),
        sa.Column('taxes', postgresql.JSONB(none_as_null=True), nullable=True, comment='Amount of each tax on the line'),
        sa.Column('metadata', postgresql.JSONB(none_as_null=True), nullable=True, comment='Key-value pairs that the workspace keeps on the object at the provider'),
        sa.Column('raw', postgresql.JSONB(none_as_null=True), nullable=True, comment="The provider's object as it was received; NULL where the configuration switches it off"),
        sa.Column('content_hash', postgresql.BYTEA(), nullable=False, comment="Hash of the object's content: an unchanged object is not rewritten"),
        sa.Column('source_version', sa.DateTime(timezone=True), nullable=False, comment='The provider held this state at this moment or later; an older state never replaces a newer one'),
        sa.Column('synced_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When this row was last written'),
        sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True, comment='When the object was found to be gone at the provider; NULL while it exists'),
        sa.PrimaryKeyConstraint('workspace_id', 'provider', 'livemode', 'id', name=('invoice_line_items_pkey')),
        schema='payments',
        comment='Every line of every invoice'
    )
    op.create_index('invoice_line_items_parent_idx', 'invoice_line_items', ['workspace_id', 'provider', 'livemode', 'invoice_id'], unique=False, schema='payments')
    op.create_table('invoices',
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider', sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"),
        sa.Column('livemode', sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"),
        sa.Column('id', sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column('created', sa.DateTime(timezone=True), nullable=False, comment='When the invoice was created'),
        sa.Column('number', sa.Text(), nullable=True, comment='The number that the customer sees; NULL for drafts'),
        sa.Column('customer_id', sa.Text(), nullable=True, comment='Id of the customer'),
        sa.Column('customer_email', sa.Text(), nullable=True, comment="The customer's email when the invoice was finalized"),
        sa.Column('customer_name', sa.Text(), nullable=True, comment="The customer's name when the invoice was finalized"),
        sa.Column('subscription_id', sa.Text(), nullable=True, comment='Id of the subscription that the invoice was made for'),
        sa.Column('status', sa.Text(), nullable=True, comment='draft, open, paid, uncollectible or void'),
        sa.Column('billing_reason', sa.Text(), nullable=True, comment='Why the invoice was made, as in subscription_cycle or manual'),
        sa.Column('collection_method', sa.Text(), nullable=True, comment='charge_automatically or send_invoice'),
        sa.Column('currency', sa.Text(), nullable=True, comment="Lower-case ISO code of the invoice's currency"),
        sa.Column('subtotal', sa.BigInteger(), nullable=True, comment='Sum of the lines before invoice-level discounts and exclusive tax, in minor units of `currency`'),
        sa.Column('subtotal_excluding_tax', sa.BigInteger(), nullable=True, comment='Subtotal without any tax, in minor units of `currency`'),
        sa.Column('total', sa.BigInteger(), nullable=True, comment='Total after discounts and taxes, in minor units of `currency`'),
        sa.Column('total_excluding_tax', sa.BigInteger(), nullable=True, comment='Total after discounts without any tax, in minor units of `currency`'),
        sa.Column('total_taxes', sa.BigInteger(), nullable=True, comment='Sum of all taxes, in minor units of `currency`'),
        sa.Column('total_discounts', sa.BigInteger(), nullable=True, comment='Sum of all discounts, in minor units of `currency`'),
        sa.Column('amount_due', sa.BigInteger(), nullable=True, comment="What is to be paid, after the customer's balance, in minor units of `currency`"),
        sa.Column('amount_paid', sa.BigInteger(), nullable=True, comment='What was paid, in minor units of `currency`'),
        sa.Column('amount_remaining', sa.BigInteger(), nullable=True, comment='What is still to be paid, in minor units of `currency`'),
        sa.Column('amount_overpaid', sa.BigInteger(), nullable=True, comment='What was paid beyond the amount due, in minor units of `currency`'),
        sa.Column('amount_shipping', sa.BigInteger(), nullable=True, comment='Shipping costs, in minor units of `currency`'),
        sa.Column('starting_balance', sa.BigInteger(), nullable=True, comment="The customer's balance before the invoice, in minor units of `currency`"),
        sa.Column('ending_balance', sa.BigInteger(), nullable=True, comment="The customer's balance after the invoice; NULL until it is finalized, in minor units of `currency`"),
        sa.Column('pre_payment_credit_notes_amount', sa.BigInteger(), nullable=True, comment='Credit notes issued before payment, in minor units of `currency`'),
        sa.Column('post_payment_credit_notes_amount', sa.BigInteger(), nullable=True, comment='Credit notes issued after payment, in minor units of `currency`'),
        sa.Column('attempt_count', sa.BigInteger(), nullable=True, comment='How often payment was tried'),
        sa.Column('attempted', sa.Boolean(), nullable=True, comment='Whether payment was tried at all'),
        sa.Column('auto_advance', sa.Boolean(), nullable=True, comment='Whether the provider moves the invoice on by itself'),
        sa.Column('period_start', sa.DateTime(timezone=True), nullable=True, comment='Start of the period that the invoice looks back on'),
        sa.Column('period_end', sa.DateTime(timezone=True), nullable=True, comment='End of the period that the invoice looks back on'),
        sa.Column('due_date', sa.DateTime(timezone=True), nullable=True, comment='When payment is due; NULL where it is charged automatically'),
        sa.Column('effective_at', sa.DateTime(timezone=True), nullable=True, comment='The date printed on the invoice'),
        sa.Column('finalized_at', sa.DateTime(timezone=True), nullable=True, comment='When the invoice was finalized'),
        sa.Column('paid_at', sa.DateTime(timezone=True), nullable=True, comment='When the invoice was paid'),
        sa.Column('voided_at', sa.DateTime(timezone=True), nullable=True, comment='When the invoice was voided'),
        sa.Column('marked_uncollectible_at', sa.DateTime(timezone=True), nullable=True, comment='When the invoice was given up'),
        sa.Column('next_payment_attempt', sa.DateTime(timezone=True), nullable=True, comment='When payment is tried next'),
        sa.Column('default_payment_method_id', sa.Text(), nullable=True, comment='Id of the payment method used by default'),
        sa.Column('description', sa.Text(), nullable=True, comment='Text shown above the lines'),
        sa.Column('account_country', sa.Text(), nullable=True, comment='Two-letter country code of the issuing account'),
        sa.Column('receipt_number', sa.Text(), nullable=True, comment='Number of the receipt'),
        sa.Column('hosted_invoice_url', sa.Text(), nullable=True, comment="The invoice's public page"),
        sa.Column('invoice_pdf', sa.Text(), nullable=True, comment="Address of the invoice's PDF"),
        sa.Column('discounts', postgresql.JSONB(none_as_null=True), nullable=True, comment='Discounts on the invoice'),
        sa.Column('test_clock_id', sa.Text(), nullable=True, comment='Id of the test clock that the invoice belongs to'),
        sa.Column('metadata', postgresql.JSONB(none_as_null=True), nullable=True, comment='Key-value pairs that the workspace keeps on the object at the provider'),
        sa.Column('raw', postgresql.JSONB(none_as_null=True), nullable=True, comment="The provider's object as it was received; NULL where the configuration switches it off"),
        sa.Column('content_hash', postgresql.BYTEA(), nullable=False, comment="Hash of the object's content: an unchanged object is not rewritten"),
        sa.Column('source_version', sa.DateTime(timezone=True), nullable=False, comment='The provider held this state at this moment or later; an older state never replaces a newer one'),
        sa.Column('synced_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When this row was last written'),
        sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True, comment='When the object was found to be gone at the provider; NULL while it exists'),
        sa.PrimaryKeyConstraint('workspace_id', 'provider', 'livemode', 'id', name=('invoices_pkey')),
        schema='payments',
        comment='Invoices of every status, drafts and void ones included'
    )
    op.create_index('invoices_created_idx', 'invoices', ['workspace_id', 'provider', 'livemode', 'created'], unique=False, schema='payments')
    op.create_table('price_tiers',
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider', sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"),
        sa.Column('livemode', sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"),
        sa.Column('id', sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column('price_id', sa.Text(), nullable=False, comment='Id of the price that the tier belongs to'),
        sa.Column('tier_index', sa.BigInteger(), nullable=False, comment='Position of the tier, from 0'),
        sa.Column('currency', sa.Text(), nullable=True, comment="Lower-case ISO code of the price's currency"),
        sa.Column('up_to', sa.BigInteger(), nullable=True, comment='Last unit of the tier; NULL on the last tier, which has no end'),
        sa.Column('unit_amount', sa.BigInteger(), nullable=True, comment='Price of one unit within the tier, in minor units of `currency`'),
        sa.Column('unit_amount_decimal', sa.Numeric(), nullable=True, comment='Price of one unit within the tier in minor units, with up to 12 decimals'),
        sa.Column('flat_amount', sa.BigInteger(), nullable=True, comment='Price of entering the tier, whatever the quantity, in minor units of `currency`'),
        sa.Column('flat_amount_decimal', sa.Numeric(), nullable=True, comment='Price of entering the tier in minor units, with up to 12 decimals'),
        sa.Column('raw', postgresql.JSONB(none_as_null=True), nullable=True, comment="The provider's object as it was received; NULL where the configuration switches it off"),
        sa.Column('content_hash', postgresql.BYTEA(), nullable=False, comment="Hash of the object's content: an unchanged object is not rewritten"),
        sa.Column('source_version', sa.DateTime(timezone=True), nullable=False, comment='The provider held this state at this moment or later; an older state never replaces a newer one'),
        sa.Column('synced_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When this row was last written'),
        sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True, comment='When the object was found to be gone at the provider; NULL while it exists'),
        sa.PrimaryKeyConstraint('workspace_id', 'provider', 'livemode', 'id', name=('price_tiers_pkey')),
        schema='payments',
        comment="Tiers of tiered prices, lowest first; `id` is '<price id>:<tier index>'"
    )
    op.create_index('price_tiers_parent_idx', 'price_tiers', ['workspace_id', 'provider', 'livemode', 'price_id'], unique=False, schema='payments')
    op.create_table('prices',
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider', sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"),
        sa.Column('livemode', sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"),
        sa.Column('id', sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column('created', sa.DateTime(timezone=True), nullable=False, comment='When the price was created'),
        sa.Column('product_id', sa.Text(), nullable=True, comment='Id of the product that the price belongs to'),
        sa.Column('active', sa.Boolean(), nullable=True, comment='Whether the price can be used for new purchases'),
        sa.Column('type', sa.Text(), nullable=True, comment='one_time or recurring'),
        sa.Column('currency', sa.Text(), nullable=True, comment="Lower-case ISO code of the price's currency"),
        sa.Column('unit_amount', sa.BigInteger(), nullable=True, comment='Price of one unit; NULL for tiered prices and for fractions of a minor unit, in minor units of `currency`'),
        sa.Column('unit_amount_decimal', sa.Numeric(), nullable=True, comment='Price of one unit in minor units, with up to 12 decimals'),
        sa.Column('billing_scheme', sa.Text(), nullable=True, comment='per_unit or tiered'),
        sa.Column('tiers_mode', sa.Text(), nullable=True, comment='graduated or volume; NULL where there are no tiers'),
        sa.Column('nickname', sa.Text(), nullable=True, comment="Name for the workspace's own use"),
        sa.Column('lookup_key', sa.Text(), nullable=True, comment="Name by which the workspace's code looks the price up"),
        sa.Column('recurring_interval', sa.Text(), nullable=True, comment='day, week, month or year; NULL for one-time prices'),
        sa.Column('recurring_interval_count', sa.BigInteger(), nullable=True, comment='Number of intervals between two bills'),
        sa.Column('recurring_usage_type', sa.Text(), nullable=True, comment='licensed or metered'),
        sa.Column('recurring_meter_id', sa.Text(), nullable=True, comment='Id of the meter of a metered price'),
        sa.Column('recurring_trial_period_days', sa.BigInteger(), nullable=True, comment='Default length of the trial, in days'),
        sa.Column('tax_behavior', sa.Text(), nullable=True, comment='inclusive, exclusive or unspecified'),
        sa.Column('transform_quantity_divide_by', sa.BigInteger(), nullable=True, comment='The quantity is divided by this before it is billed'),
        sa.Column('transform_quantity_round', sa.Text(), nullable=True, comment='Rounding after the division: up or down'),
        sa.Column('custom_unit_amount', postgresql.JSONB(none_as_null=True), nullable=True, comment='Bounds where the customer chooses the amount'),
        sa.Column('metadata', postgresql.JSONB(none_as_null=True), nullable=True, comment='Key-value pairs that the workspace keeps on the object at the provider'),
        sa.Column('raw', postgresql.JSONB(none_as_null=True), nullable=True, comment="The provider's object as it was received; NULL where the configuration switches it off"),
        sa.Column('content_hash', postgresql.BYTEA(), nullable=False, comment="Hash of the object's content: an unchanged object is not rewritten"),
        sa.Column('source_version', sa.DateTime(timezone=True), nullable=False, comment='The provider held this state at this moment or later; an older state never replaces a newer one'),
        sa.Column('synced_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When this row was last written'),
        sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True, comment='When the object was found to be gone at the provider; NULL while it exists'),
        sa.PrimaryKeyConstraint('workspace_id', 'provider', 'livemode', 'id', name=('prices_pkey')),
        schema='payments',
        comment='Prices: how much and how often a product costs, active or not'
    )
    op.create_index('prices_created_idx', 'prices', ['workspace_id', 'provider', 'livemode', 'created'], unique=False, schema='payments')
    op.create_table('products',
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider', sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"),
        sa.Column('livemode', sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"),
        sa.Column('id', sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column('created', sa.DateTime(timezone=True), nullable=False, comment='When the product was created'),
        sa.Column('updated', sa.DateTime(timezone=True), nullable=True, comment='When the product was last changed at the provider'),
        sa.Column('name', sa.Text(), nullable=True, comment='Name shown to customers'),
        sa.Column('active', sa.Boolean(), nullable=True, comment='Whether the product can be bought now'),
        sa.Column('description', sa.Text(), nullable=True, comment='Description shown to customers'),
        sa.Column('type', sa.Text(), nullable=True, comment='good or service'),
        sa.Column('default_price_id', sa.Text(), nullable=True, comment='Id of the default price'),
        sa.Column('unit_label', sa.Text(), nullable=True, comment="What one unit is called, as in 'seat'"),
        sa.Column('statement_descriptor', sa.Text(), nullable=True, comment="What appears on the customer's card statement"),
        sa.Column('tax_code_id', sa.Text(), nullable=True, comment='Id of the tax code'),
        sa.Column('shippable', sa.Boolean(), nullable=True, comment='Whether the product is shipped'),
        sa.Column('url', sa.Text(), nullable=True, comment='A public page about the product'),
        sa.Column('images', postgresql.JSONB(none_as_null=True), nullable=True, comment='Addresses of up to eight pictures'),
        sa.Column('marketing_features', postgresql.JSONB(none_as_null=True), nullable=True, comment='Features listed in pricing tables'),
        sa.Column('package_dimensions', postgresql.JSONB(none_as_null=True), nullable=True, comment='Size and weight for shipping'),
        sa.Column('metadata', postgresql.JSONB(none_as_null=True), nullable=True, comment='Key-value pairs that the workspace keeps on the object at the provider'),
        sa.Column('raw', postgresql.JSONB(none_as_null=True), nullable=True, comment="The provider's object as it was received; NULL where the configuration switches it off"),
        sa.Column('content_hash', postgresql.BYTEA(), nullable=False, comment="Hash of the object's content: an unchanged object is not rewritten"),
        sa.Column('source_version', sa.DateTime(timezone=True), nullable=False, comment='The provider held this state at this moment or later; an older state never replaces a newer one'),
        sa.Column('synced_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When this row was last written'),
        sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True, comment='When the object was found to be gone at the provider; NULL while it exists'),
        sa.PrimaryKeyConstraint('workspace_id', 'provider', 'livemode', 'id', name=('products_pkey')),
        schema='payments',
        comment='Products: what is sold, active or not'
    )
    op.create_index('products_created_idx', 'products', ['workspace_id', 'provider', 'livemode', 'created'], unique=False, schema='payments')
    op.create_table('subscription_items',
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider', sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"),
        sa.Column('livemode', sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"),
        sa.Column('id', sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column('subscription_id', sa.Text(), nullable=False, comment='Id of the subscription'),
        sa.Column('created', sa.DateTime(timezone=True), nullable=True, comment='When the item was added'),
        sa.Column('price_id', sa.Text(), nullable=True, comment='Id of the price'),
        sa.Column('product_id', sa.Text(), nullable=True, comment="Id of the price's product"),
        sa.Column('currency', sa.Text(), nullable=True, comment="Lower-case ISO code of the price's currency"),
        sa.Column('unit_amount', sa.BigInteger(), nullable=True, comment='Price of one unit when the item was read; NULL where the price has tiers, in minor units of `currency`'),
        sa.Column('quantity', sa.BigInteger(), nullable=True, comment='How many units; NULL for metered prices'),
        sa.Column('current_period_start', sa.DateTime(timezone=True), nullable=True, comment='Start of the period that is being billed'),
        sa.Column('current_period_end', sa.DateTime(timezone=True), nullable=True, comment='End of the period that is being billed'),
        sa.Column('discounts', postgresql.JSONB(none_as_null=True), nullable=True, comment='Discounts on the item'),
        sa.Column('metadata', postgresql.JSONB(none_as_null=True), nullable=True, comment='Key-value pairs that the workspace keeps on the object at the provider'),
        sa.Column('raw', postgresql.JSONB(none_as_null=True), nullable=True, comment="The provider's object as it was received; NULL where the configuration switches it off"),
        sa.Column('content_hash', postgresql.BYTEA(), nullable=False, comment="Hash of the object's content: an unchanged object is not rewritten"),
        sa.Column('source_version', sa.DateTime(timezone=True), nullable=False, comment='The provider held this state at this moment or later; an older state never replaces a newer one'),
        sa.Column('synced_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When this row was last written'),
        sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True, comment='When the object was found to be gone at the provider; NULL while it exists'),
        sa.PrimaryKeyConstraint('workspace_id', 'provider', 'livemode', 'id', name=('subscription_items_pkey')),
        schema='payments',
        comment='Items of subscriptions: a price and a quantity each'
    )
    op.create_index('subscription_items_parent_idx', 'subscription_items', ['workspace_id', 'provider', 'livemode', 'subscription_id'], unique=False, schema='payments')
    op.create_table('subscriptions',
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider', sa.Text(), nullable=False, comment="The payment provider that the row came from, as in 'stripe'"),
        sa.Column('livemode', sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"),
        sa.Column('id', sa.Text(), nullable=False, comment="The provider's id of the object"),
        sa.Column('created', sa.DateTime(timezone=True), nullable=False, comment='When the subscription was created'),
        sa.Column('customer_id', sa.Text(), nullable=True, comment='Id of the customer'),
        sa.Column('status', sa.Text(), nullable=True, comment='active, trialing, past_due, canceled, paused, incomplete, incomplete_expired or unpaid'),
        sa.Column('currency', sa.Text(), nullable=True, comment="Lower-case ISO code of the subscription's currency"),
        sa.Column('collection_method', sa.Text(), nullable=True, comment='charge_automatically or send_invoice'),
        sa.Column('start_date', sa.DateTime(timezone=True), nullable=True, comment='When the subscription began, possibly before it was created here'),
        sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True, comment='When the subscription ended'),
        sa.Column('cancel_at', sa.DateTime(timezone=True), nullable=True, comment='When the subscription will be canceled'),
        sa.Column('cancel_at_period_end', sa.Boolean(), nullable=True, comment='Whether the subscription ends with the current period'),
        sa.Column('canceled_at', sa.DateTime(timezone=True), nullable=True, comment='When cancellation was asked for'),
        sa.Column('cancellation_reason', sa.Text(), nullable=True, comment='Why the subscription was canceled, as recorded by the provider'),
        sa.Column('cancellation_feedback', sa.Text(), nullable=True, comment="The customer's answer to why they left"),
        sa.Column('cancellation_comment', sa.Text(), nullable=True, comment="The customer's own words on why they left"),
        sa.Column('trial_start', sa.DateTime(timezone=True), nullable=True, comment='When the trial began'),
        sa.Column('trial_end', sa.DateTime(timezone=True), nullable=True, comment='When the trial ends'),
        sa.Column('billing_cycle_anchor', sa.DateTime(timezone=True), nullable=True, comment='The moment that sets the dates of future bills'),
        sa.Column('days_until_due', sa.BigInteger(), nullable=True, comment='Days a customer has to pay an invoice that was sent'),
        sa.Column('latest_invoice_id', sa.Text(), nullable=True, comment='Id of the newest invoice'),
        sa.Column('default_payment_method_id', sa.Text(), nullable=True, comment='Id of the payment method used by default'),
        sa.Column('schedule_id', sa.Text(), nullable=True, comment='Id of the schedule that drives the subscription'),
        sa.Column('pause_collection_behavior', sa.Text(), nullable=True, comment='What happens to invoices while collection is paused'),
        sa.Column('pause_collection_resumes_at', sa.DateTime(timezone=True), nullable=True, comment='When collection resumes'),
        sa.Column('description', sa.Text(), nullable=True, comment='Description shown to the customer'),
        sa.Column('discounts', postgresql.JSONB(none_as_null=True), nullable=True, comment='Discounts on the subscription'),
        sa.Column('test_clock_id', sa.Text(), nullable=True, comment='Id of the test clock that the subscription belongs to'),
        sa.Column('metadata', postgresql.JSONB(none_as_null=True), nullable=True, comment='Key-value pairs that the workspace keeps on the object at the provider'),
        sa.Column('raw', postgresql.JSONB(none_as_null=True), nullable=True, comment="The provider's object as it was received; NULL where the configuration switches it off"),
        sa.Column('content_hash', postgresql.BYTEA(), nullable=False, comment="Hash of the object's content: an unchanged object is not rewritten"),
        sa.Column('source_version', sa.DateTime(timezone=True), nullable=False, comment='The provider held this state at this moment or later; an older state never replaces a newer one'),
        sa.Column('synced_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When this row was last written'),
        sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True, comment='When the object was found to be gone at the provider; NULL while it exists'),
        sa.PrimaryKeyConstraint('workspace_id', 'provider', 'livemode', 'id', name=('subscriptions_pkey')),
        schema='payments',
        comment='Subscriptions of every status, canceled ones included'
    )
    op.create_index('subscriptions_created_idx', 'subscriptions', ['workspace_id', 'provider', 'livemode', 'created'], unique=False, schema='payments')
    op.create_table('workspaces',
        sa.Column('id', sa.UUID(), server_default=sa.text('gen_random_uuid()'), nullable=False, comment='Id of the row'),
        sa.Column('slug', sa.Text(), nullable=False, comment='Short, unique, immutable, URL-safe name'),
        sa.Column('name', sa.Text(), nullable=False, comment='Name for people'),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When the workspace was created'),
        sa.PrimaryKeyConstraint('id', name=('workspaces_pkey')),
        sa.UniqueConstraint('slug', name=('workspaces_slug_key')),
        schema='sync',
        comment='Workspaces: the tenants'
    )
    op.create_table('payment_sync_sessions',
        sa.Column('id', sa.UUID(), server_default=sa.text('gen_random_uuid()'), nullable=False, comment='Id of the row'),
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider_name', sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column('session_type', sa.Text(), nullable=False, comment='initial_sync, delta_sync or partial_sync'),
        sa.Column('status', sa.Text(), nullable=False, comment='pending, running, completed, partial, failed or cancelled; partial = some entity did not complete'),
        sa.Column('entity_types', postgresql.ARRAY(sa.Text()), nullable=False, comment='The entities that the session syncs'),
        sa.Column('config', postgresql.JSONB(none_as_null=True), server_default=sa.text("'{}'::jsonb"), nullable=False, comment='What was asked for: batch_size, full_sync, conflict_strategy'),
        sa.Column('progress', postgresql.JSONB(none_as_null=True), server_default=sa.text("'{}'::jsonb"), nullable=False, comment='Per entity: estimated, fetched, created, updated, unchanged, deleted, failed, done; and overall'),
        sa.Column('error_summary', postgresql.JSONB(none_as_null=True), nullable=True, comment='What went wrong, how often, and what to do; NULL where nothing did'),
        sa.Column('dagster_run_id', sa.Text(), nullable=True, comment='Id of the Dagster run that executes the session'),
        sa.Column('started_at', sa.DateTime(timezone=True), nullable=True, comment='When the sync began'),
        sa.Column('completed_at', sa.DateTime(timezone=True), nullable=True, comment='When the session ended, whatever its status'),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When the session was asked for'),
        sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When the session was last written; the heartbeat while it runs'),
        sa.CheckConstraint("session_type IN ('initial_sync', 'delta_sync', 'partial_sync')", name=('payment_sync_sessions_session_type_check')),
        sa.CheckConstraint("status IN ('pending', 'running', 'completed', 'partial', 'failed', 'cancelled')", name=('payment_sync_sessions_status_check')),
        sa.ForeignKeyConstraint(['workspace_id'], ['sync.workspaces.id'], name=('payment_sync_sessions_workspace_id_fkey')),
        sa.PrimaryKeyConstraint('id', name=('payment_sync_sessions_pkey')),
        schema='sync',
        comment='Sessions: one sync of one source each'
    )
    op.create_index('payment_sync_sessions_dagster_run_idx', 'payment_sync_sessions', ['dagster_run_id'], unique=False, schema='sync')
    op.create_index('payment_sync_sessions_recent_idx', 'payment_sync_sessions', ['workspace_id', 'provider_name', sa.literal_column('created_at DESC')], unique=False, schema='sync')
    op.create_index('payment_sync_sessions_unfinished_idx', 'payment_sync_sessions', ['status', 'updated_at'], unique=False, schema='sync', postgresql_where=sa.text("status IN ('pending', 'running')"))
    op.create_table('sync_cursors',
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider_name', sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column('livemode', sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"),
        sa.Column('entity_type', sa.Text(), nullable=False, comment='The entity that the position is for'),
        sa.Column('watermark', sa.DateTime(timezone=True), nullable=True, comment='Everything that changed at the provider before this moment is in the tables'),
        sa.Column('unfinished', postgresql.JSONB(none_as_null=True), nullable=True, comment="The listing in progress: when it began and its slices' cursors; NULL = none"),
        sa.Column('full_listing_at', sa.DateTime(timezone=True), nullable=True, comment='When a listing of the whole entity last completed'),
        sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When the position was last written'),
        sa.CheckConstraint("entity_type IN ('customers', 'products', 'prices', 'subscriptions', 'invoices')", name=('sync_cursors_entity_type_check')),
        sa.ForeignKeyConstraint(['workspace_id'], ['sync.workspaces.id'], name=('sync_cursors_workspace_id_fkey')),
        sa.PrimaryKeyConstraint('workspace_id', 'provider_name', 'livemode', 'entity_type', name=('sync_cursors_pkey')),
        schema='sync',
        comment="Where each source's syncs stand, per entity"
    )
    op.create_table('workspace_payment_configurations',
        sa.Column('id', sa.UUID(), server_default=sa.text('gen_random_uuid()'), nullable=False, comment='Id of the row'),
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider_name', sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column('is_active', sa.Boolean(), server_default=sa.text('true'), nullable=False, comment='Whether it is synced'),
        sa.Column('is_test_mode', sa.Boolean(), nullable=False, comment="Whether the credentials are for the provider's test mode"),
        sa.Column('configuration', sa.Text(), nullable=False, comment='Encrypted credentials: an AES-256-GCM envelope bound to this row'),
        sa.Column('webhook_endpoint_url', sa.Text(), nullable=True, comment='Where the provider sends its webhooks'),
        sa.Column('connected_account_id', sa.Text(), nullable=True, comment="The provider's id of the connected account"),
        sa.Column('last_sync_at', sa.DateTime(timezone=True), nullable=True, comment='When a sync of this configuration last completed'),
        sa.Column('last_webhook_at', sa.DateTime(timezone=True), nullable=True, comment='When the last webhook for this configuration came in'),
        sa.Column('metadata', postgresql.JSONB(none_as_null=True), server_default=sa.text("'{}'::jsonb"), nullable=False, comment="Whatever the workspace's own system keeps here"),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When the configuration was created'),
        sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When the configuration was last changed'),
        sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True, comment='When the configuration was removed; NULL while it exists'),
        sa.ForeignKeyConstraint(['workspace_id'], ['sync.workspaces.id'], name=('workspace_payment_configurations_workspace_id_fkey')),
        sa.PrimaryKeyConstraint('id', name=('workspace_payment_configurations_pkey')),
        schema='sync',
        comment="Configurations: a workspace's encrypted credentials for a provider"
    )
    op.create_index('workspace_payment_configurations_one_active_idx', 'workspace_payment_configurations', ['workspace_id', 'provider_name'], unique=True, schema='sync', postgresql_where=sa.text('is_active AND deleted_at IS NULL'))
    op.create_table('workspace_provider_accounts',
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider_name', sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column('account_id', sa.Text(), nullable=False, comment="The provider's id of the account"),
        sa.Column('livemode', sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"),
        sa.Column('account_name', sa.Text(), nullable=True, comment="The account's display name at the provider"),
        sa.Column('first_seen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When a connection to the account first succeeded'),
        sa.Column('last_seen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When a connection to the account last succeeded'),
        sa.ForeignKeyConstraint(['workspace_id'], ['sync.workspaces.id'], name=('workspace_provider_accounts_workspace_id_fkey')),
        sa.PrimaryKeyConstraint('workspace_id', 'provider_name', 'account_id', 'livemode', name=('workspace_provider_accounts_pkey')),
        schema='sync',
        comment='Which provider account belongs to which workspace: routes webhooks'
    )
    op.create_index('workspace_provider_accounts_account_idx', 'workspace_provider_accounts', ['provider_name', 'account_id'], unique=False, schema='sync')
    op.create_table('payment_sync_events',
        sa.Column('id', sa.UUID(), server_default=sa.text('gen_random_uuid()'), nullable=False, comment='Id of the row'),
        sa.Column('session_id', sa.UUID(), nullable=False, comment='The session that the event belongs to'),
        sa.Column('workspace_id', sa.UUID(), nullable=False, comment='The workspace (tenant) that the row belongs to'),
        sa.Column('provider_name', sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column('entity_type', sa.Text(), nullable=True, comment='The entity or table that the event is about'),
        sa.Column('external_id', sa.Text(), nullable=True, comment="The provider's id of the object that the event is about"),
        sa.Column('event_type', sa.Text(), nullable=False, comment="A short name of what happened, as in 'row_unmappable'"),
        sa.Column('event_message', sa.Text(), nullable=False, comment='What happened, for a person to read'),
        sa.Column('event_details', postgresql.JSONB(none_as_null=True), server_default=sa.text("'{}'::jsonb"), nullable=False, comment='Whatever helps to understand or repair it'),
        sa.Column('occurred_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, comment='When it happened'),
        sa.ForeignKeyConstraint(['session_id'], ['sync.payment_sync_sessions.id'], name=('payment_sync_events_session_id_fkey')),
        sa.ForeignKeyConstraint(['workspace_id'], ['sync.workspaces.id'], name=('payment_sync_events_workspace_id_fkey')),
        sa.PrimaryKeyConstraint('id', name=('payment_sync_events_pkey')),
        schema='sync',
        comment="Events: what a person would want to read in a session's log"
    )
    op.create_index('payment_sync_events_session_idx', 'payment_sync_events', ['session_id', 'occurred_at'], unique=False, schema='sync')
    op.create_index('payment_sync_events_workspace_idx', 'payment_sync_events', ['workspace_id', sa.literal_column('occurred_at DESC')], unique=False, schema='sync')
