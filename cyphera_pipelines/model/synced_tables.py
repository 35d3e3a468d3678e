"""The tables of synced data: every column's name, kind and comment, written once.

Postgres (`COMMENT`), Dagster (column schema), the data dictionary and the providers' mappings all read from here.
Money is kept in minor units beside a lower-case `currency`; times are `timestamptz`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from cyphera_pipelines.model.columns import (
    Column,
    Kind,
    SyncedTable,
    amount,
    boolean,
    integer,
    json,
    later,
    numeric,
    personal,
    text,
    timestamp,
)
from cyphera_pipelines.model.entities import Entity

SHARED_KEY_COLUMNS: dict[str, str] = {
    "workspace_id": "The workspace (tenant) that the row belongs to",
    "provider": "The payment provider that the row came from, as in 'stripe'",
    "livemode": "True for live data, false for the provider's test mode",
    "id": "The provider's id of the object",
}
"""The primary key of the objects' own tables, and its comments."""

OCCURRENCE = "occurrence"
OCCURRENCE_COMMENT = "0; 1, 2, ... for further rows of one parent that the provider gave the same id, in its order"
"""The last column of a child table, and of its key: see `key_columns`."""

SHARED_TAIL_COLUMNS: dict[str, str] = {
    "raw": "The provider's object as it was received; NULL where the configuration switches it off",
    "content_hash": "Hash of the object's content: an unchanged object is not rewritten",
    "source_version": "The provider held this state at this moment or later; an older state never replaces a newer one",
    "synced_at": "When this row was last written",
    "deleted_at": "When the object was found to be gone at the provider; NULL while it exists",
}
"""What follows a synced table's own columns, and its comments."""

METADATA = json("metadata", "Key-value pairs that the workspace keeps on the object at the provider")

PROVIDER_STATUS = "What the provider calls the status"

CUSTOMERS = SyncedTable(
    "customers",
    Entity.CUSTOMERS,
    "Customers: the people and companies that are billed",
    (
        timestamp("created", "When the customer was created", required=True),
        personal(text("email", "Email address")),
        personal(text("name", "Full name or business name")),
        personal(text("phone", "Telephone number")),
        personal(text("description", "Free text kept on the customer")),
        text("currency", "Lower-case ISO code of the currency that the customer is charged in"),
        amount("balance", "Account balance: negative is credit for the next invoice, positive is owed"),
        boolean("delinquent", "Whether the latest charge or invoice of the customer failed"),
        text("tax_exempt", "Tax exemption: none, exempt or reverse"),
        text("invoice_prefix", "Prefix of the customer's invoice numbers"),
        text("default_source_id", "Id of the default payment source"),
        text("default_payment_method_id", "Id of the default payment method for invoices"),
        personal(text("address_line1", "Address, first line")),
        personal(text("address_line2", "Address, second line")),
        personal(text("address_city", "City")),
        personal(text("address_state", "State, county or province")),
        personal(text("address_postal_code", "Postal code")),
        personal(text("address_country", "Two-letter country code")),
        json("preferred_locales", "Preferred languages, best first"),
        personal(json("shipping", "Shipping name, phone and address")),
        json("discount", "The discount that applies to all of the customer's charges"),
        text("test_clock_id", "Id of the test clock that the customer belongs to"),
        METADATA,
    ),
)

_DISCOUNT_COLUMNS = (
    integer("position", "Its place among the discounts of the same object, from 0: they are taken off in that order"),
    text("coupon_id", "Id of the coupon; NULL for a discount that was made for this object alone"),
    text("coupon_name", "Name of the coupon, as customers see it"),
    text("promotion_code_id", "Id of the promotion code that the customer entered"),
    text("kind", "percent or amount; NULL where the provider does not tell, as of a coupon that is gone"),
    numeric("percent_off", "How much is taken off, in percent; NULL where it is an amount"),
    amount("amount_off", "How much is taken off; NULL where it is a percentage"),
    text("currency", "Lower-case ISO code of the currency of `amount_off`"),
    text("duration", "once, repeating or forever"),
    integer("duration_in_months", "For how many months it applies, where it is repeating"),
    timestamp("starts_at", "From when it applies"),
    timestamp("ends_at", "When it stops to apply; NULL for one without an end, and for one that applies once"),
    json("product_ids", "Ids of the products that it is limited to; NULL where it is for all of them"),
)
"""What is known of every discount, whatever it is on."""

_TAX_RATE_COLUMNS = (
    integer("position", "Its place among the tax rates of the same object, from 0"),
    text("tax_rate_id", "Id of the tax rate"),
    text("display_name", "What customers see it called, as in VAT"),
    numeric("percentage", "The rate, in percent"),
    boolean("inclusive", "Whether prices contain it already"),
    text("country", "Two-letter country code"),
    text("jurisdiction", "Where it is levied"),
)

CUSTOMER_DISCOUNTS = SyncedTable(
    "customer_discounts",
    Entity.CUSTOMERS,
    "Discounts on customers: they apply to the subscriptions that have none of their own",
    (text("customer_id", "Id of the customer", required=True), *_DISCOUNT_COLUMNS),
    parent_column="customer_id",
)

CUSTOMER_TAX_IDS = SyncedTable(
    "customer_tax_ids",
    Entity.CUSTOMERS,
    "Tax ids of customers, as in the number for VAT",
    (
        text("customer_id", "Id of the customer", required=True),
        text("type", "What kind of number it is, as in eu_vat"),
        personal(text("value", "The number")),
        text("country", "Two-letter country code"),
        text("verification_status", "pending, verified, unverified or unavailable"),
        timestamp("created", "When it was entered"),
    ),
    parent_column="customer_id",
    is_loose=True,
)

PRODUCTS = SyncedTable(
    "products",
    Entity.PRODUCTS,
    "Products: what is sold, active or not",
    (
        timestamp("created", "When the product was created; NULL where the provider does not say"),
        timestamp("updated", "When the product was last changed at the provider"),
        text("name", "Name shown to customers"),
        boolean("active", "Whether the product can be bought now"),
        text("description", "Description shown to customers"),
        text("type", "good or service"),
        text("default_price_id", "Id of the default price"),
        text("unit_label", "What one unit is called, as in 'seat'"),
        text("statement_descriptor", "What appears on the customer's card statement"),
        text("tax_code_id", "Id of the tax code"),
        boolean("shippable", "Whether the product is shipped"),
        text("url", "A public page about the product"),
        json("images", "Addresses of up to eight pictures"),
        json("marketing_features", "Features listed in pricing tables"),
        json("package_dimensions", "Size and weight for shipping"),
        METADATA,
    ),
)

PRICES = SyncedTable(
    "prices",
    Entity.PRICES,
    "Prices: how much and how often a product costs, active or not",
    (
        timestamp("created", "When the price was created", required=True),
        text("product_id", "Id of the product that the price belongs to"),
        boolean("active", "Whether the price can be used for new purchases"),
        text("type", "one_time or recurring"),
        text("currency", "Lower-case ISO code of the price's currency"),
        amount("unit_amount", "Price of one unit; NULL for tiered prices and for fractions of a minor unit"),
        numeric("unit_amount_decimal", "Price of one unit in minor units, with up to 12 decimals"),
        text("billing_scheme", "per_unit or tiered"),
        text("tiers_mode", "graduated or volume; NULL where there are no tiers"),
        text("nickname", "Name for the workspace's own use"),
        text("lookup_key", "Name by which the workspace's code looks the price up"),
        text("recurring_interval", "day, week, month or year; NULL for one-time prices"),
        integer("recurring_interval_count", "Number of intervals between two bills"),
        text("recurring_usage_type", "licensed or metered"),
        text("recurring_meter_id", "Id of the meter of a metered price"),
        integer("recurring_trial_period_days", "Default length of the trial, in days"),
        text("tax_behavior", "inclusive, exclusive or unspecified"),
        integer("transform_quantity_divide_by", "The quantity is divided by this before it is billed"),
        text("transform_quantity_round", "Rounding after the division: up or down"),
        json("custom_unit_amount", "Bounds where the customer chooses the amount"),
        METADATA,
    ),
)

PRICE_TIERS = SyncedTable(
    "price_tiers",
    Entity.PRICES,
    "Tiers of tiered prices, lowest first; `id` is '<price id>:<tier index>'",
    (
        text("price_id", "Id of the price that the tier belongs to", required=True),
        integer("tier_index", "Position of the tier, from 0", required=True),
        text("currency", "Lower-case ISO code of the price's currency"),
        integer("up_to", "Last unit of the tier; NULL on the last tier, which has no end"),
        amount("unit_amount", "Price of one unit within the tier"),
        numeric("unit_amount_decimal", "Price of one unit within the tier in minor units, with up to 12 decimals"),
        amount("flat_amount", "Price of entering the tier, whatever the quantity"),
        numeric("flat_amount_decimal", "Price of entering the tier in minor units, with up to 12 decimals"),
    ),
    parent_column="price_id",
)

PRICE_CURRENCY_OPTIONS = SyncedTable(
    "price_currency_options",
    Entity.PRICES,
    "What prices cost in each currency that they name; `id` is '<price id>:<currency>'",
    (
        text("price_id", "Id of the price", required=True),
        text("currency", "Lower-case ISO code of the currency", required=True),
        amount("unit_amount", "Price of one unit; NULL for tiered prices and for fractions of a minor unit"),
        numeric("unit_amount_decimal", "Price of one unit in minor units, with up to 12 decimals"),
        text("tax_behavior", "inclusive, exclusive or unspecified"),
        json("custom_unit_amount", "Bounds where the customer chooses the amount"),
        json("tiers", "Tiers in this currency, lowest first; NULL where there are none"),
    ),
    parent_column="price_id",
)

SUBSCRIPTIONS = SyncedTable(
    "subscriptions",
    Entity.SUBSCRIPTIONS,
    "Subscriptions of every status, canceled ones included",
    (
        timestamp("created", "When the subscription was created", required=True),
        text("customer_id", "Id of the customer"),
        text(
            "status",
            "active, trialing, past_due, canceled, paused, incomplete, incomplete_expired or unpaid; scheduled where "
            "it has yet to begin",
        ),
        text("currency", "Lower-case ISO code of the subscription's currency"),
        text("collection_method", "charge_automatically or send_invoice"),
        timestamp("start_date", "When the subscription began, possibly before it was created here"),
        timestamp("ended_at", "When the subscription ended"),
        timestamp("cancel_at", "When the subscription will be canceled"),
        boolean("cancel_at_period_end", "Whether the subscription ends with the current period"),
        timestamp("canceled_at", "When cancellation was asked for"),
        text("cancellation_reason", "Why the subscription was canceled, as recorded by the provider"),
        text("cancellation_feedback", "The customer's answer to why they left"),
        personal(text("cancellation_comment", "The customer's own words on why they left")),
        timestamp("trial_start", "When the trial began"),
        timestamp("trial_end", "When the trial ends"),
        timestamp("billing_cycle_anchor", "The moment that sets the dates of future bills"),
        integer("days_until_due", "Days a customer has to pay an invoice that was sent"),
        text("latest_invoice_id", "Id of the newest invoice"),
        text("default_payment_method_id", "Id of the payment method used by default"),
        text("schedule_id", "Id of the schedule that drives the subscription"),
        text("pause_collection_behavior", "What happens to invoices while collection is paused"),
        timestamp("pause_collection_resumes_at", "When collection resumes"),
        personal(text("description", "Description shown to the customer")),
        json("discounts", "Discounts on the subscription"),
        text("test_clock_id", "Id of the test clock that the subscription belongs to"),
        METADATA,
        later(text("provider_status", PROVIDER_STATUS)),
    ),
)

SUBSCRIPTION_ITEMS = SyncedTable(
    "subscription_items",
    Entity.SUBSCRIPTIONS,
    "Items of subscriptions: a price and a quantity each",
    (
        text("subscription_id", "Id of the subscription", required=True),
        timestamp("created", "When the item was added"),
        text("price_id", "Id of the price"),
        text("product_id", "Id of the price's product"),
        text("currency", "Lower-case ISO code of the currency that the item is billed in: its subscription's"),
        amount(
            "unit_amount",
            "Price of one unit; NULL for tiers and fractions of a minor unit, and where that currency's is not known",
        ),
        integer("quantity", "How many units; NULL for metered prices"),
        timestamp("current_period_start", "Start of the period that is being billed"),
        timestamp("current_period_end", "End of the period that is being billed"),
        json("discounts", "Discounts on the item"),
        METADATA,
        later(numeric("unit_amount_decimal", "Price of one unit in minor units, with up to 12 decimals")),
    ),
    parent_column="subscription_id",
)

SUBSCRIPTION_DISCOUNTS = SyncedTable(
    "subscription_discounts",
    Entity.SUBSCRIPTIONS,
    "Discounts on subscriptions and on their items",
    (
        text("subscription_id", "Id of the subscription", required=True),
        text("subscription_item_id", "Id of the item that it is on; NULL where it is on the whole subscription"),
        *_DISCOUNT_COLUMNS,
    ),
    parent_column="subscription_id",
)

SUBSCRIPTION_TAX_RATES = SyncedTable(
    "subscription_tax_rates",
    Entity.SUBSCRIPTIONS,
    "Tax rates of subscriptions and of their items, where they are set and not found out bill by bill",
    (
        text("subscription_id", "Id of the subscription", required=True),
        text("subscription_item_id", "Id of the item that it is for; NULL where it is for the whole subscription"),
        *_TAX_RATE_COLUMNS,
    ),
    parent_column="subscription_id",
)

INVOICES = SyncedTable(
    "invoices",
    Entity.INVOICES,
    "Invoices of every status, drafts and void ones included",
    (
        timestamp("created", "When the invoice was created", required=True),
        text("number", "The number that the customer sees; NULL for drafts"),
        text("customer_id", "Id of the customer"),
        personal(text("customer_email", "The customer's email when the invoice was finalized")),
        personal(text("customer_name", "The customer's name when the invoice was finalized")),
        text("subscription_id", "Id of the subscription that the invoice was made for"),
        text("status", "draft, open, paid, uncollectible or void"),
        text("billing_reason", "Why the invoice was made, as in subscription_cycle or manual"),
        text("collection_method", "charge_automatically or send_invoice"),
        text("currency", "Lower-case ISO code of the invoice's currency"),
        amount("subtotal", "Sum of the lines before invoice-level discounts and exclusive tax"),
        amount("subtotal_excluding_tax", "Subtotal without any tax"),
        amount("total", "Total after discounts and taxes"),
        amount("total_excluding_tax", "Total after discounts without any tax"),
        amount("total_taxes", "Sum of all taxes"),
        amount("total_discounts", "Sum of all discounts"),
        amount("amount_due", "What is to be paid, after the customer's balance"),
        amount("amount_paid", "What was paid"),
        amount("amount_remaining", "What is still to be paid"),
        amount("amount_overpaid", "What was paid beyond the amount due"),
        amount("amount_shipping", "Shipping costs"),
        amount("starting_balance", "The customer's balance before the invoice"),
        amount("ending_balance", "The customer's balance after the invoice; NULL until it is finalized"),
        amount("pre_payment_credit_notes_amount", "Credit notes issued before payment"),
        amount("post_payment_credit_notes_amount", "Credit notes issued after payment"),
        integer("attempt_count", "How often payment was tried"),
        boolean("attempted", "Whether payment was tried at all"),
        boolean("auto_advance", "Whether the provider moves the invoice on by itself"),
        timestamp("period_start", "Start of the period that the invoice looks back on"),
        timestamp("period_end", "End of the period that the invoice looks back on"),
        timestamp("due_date", "When payment is due; NULL where it is charged automatically"),
        timestamp("effective_at", "The date printed on the invoice"),
        timestamp("finalized_at", "When the invoice was finalized"),
        timestamp("paid_at", "When the invoice was paid"),
        timestamp("voided_at", "When the invoice was voided"),
        timestamp("marked_uncollectible_at", "When the invoice was given up"),
        timestamp("next_payment_attempt", "When payment is tried next"),
        text("default_payment_method_id", "Id of the payment method used by default"),
        personal(text("description", "Text shown above the lines")),
        text("account_country", "Two-letter country code of the issuing account"),
        text("receipt_number", "Number of the receipt"),
        personal(text("hosted_invoice_url", "The invoice's public page")),
        personal(text("invoice_pdf", "Address of the invoice's PDF")),
        json("discounts", "Discounts on the invoice"),
        text("test_clock_id", "Id of the test clock that the invoice belongs to"),
        METADATA,
        later(text("provider_status", PROVIDER_STATUS)),
    ),
    axes=("created", "effective_at"),
)

INVOICE_DISCOUNTS = SyncedTable(
    "invoice_discounts",
    Entity.INVOICES,
    "Discounts that were taken off invoices, with what each took off",
    (
        text("invoice_id", "Id of the invoice", required=True),
        *_DISCOUNT_COLUMNS,
        amount("discounted", "What it took off the whole invoice"),
    ),
    parent_column="invoice_id",
)

INVOICE_LINE_ITEMS = SyncedTable(
    "invoice_line_items",
    Entity.INVOICES,
    "Every line of every invoice",
    (
        text("invoice_id", "Id of the invoice", required=True),
        integer("line_index", "Position of the line on the invoice, from 0", required=True),
        amount("amount", "The line's amount before invoice-level discounts and exclusive tax"),
        amount("subtotal", "The line's amount before any discount"),
        text("currency", "Lower-case ISO code of the invoice's currency"),
        personal(text("description", "Text of the line")),
        integer("quantity", "How many units; NULL where there is no quantity"),
        numeric("quantity_decimal", "How many units, with decimals"),
        numeric("unit_amount_decimal", "Price of one unit in minor units, with up to 12 decimals"),
        text("price_id", "Id of the price"),
        text("product_id", "Id of the product"),
        text("parent_type", "What the line came from: subscription_item_details or invoice_item_details"),
        text("subscription_id", "Id of the subscription that the line was made for"),
        text("subscription_item_id", "Id of the subscription item that the line was made for"),
        text("invoice_item_id", "Id of the invoice item that the line was made from"),
        boolean("proration", "Whether the line corrects an earlier bill"),
        boolean("discountable", "Whether discounts apply to the line"),
        timestamp("period_start", "Start of the period that the line is for"),
        timestamp("period_end", "End of the period that the line is for"),
        json("discount_amounts", "Amount of each discount on the line"),
        json("taxes", "Amount of each tax on the line"),
        METADATA,
    ),
    parent_column="invoice_id",
)

INVOICE_PAYMENTS = SyncedTable(
    "invoice_payments",
    Entity.INVOICES,
    "Payments towards invoices, with what they were made by",
    (
        text("invoice_id", "Id of the invoice", required=True),
        text("status", "paid, open, failed or canceled"),
        amount("amount_requested", "What was to be paid by it"),
        amount("amount_paid", "What was paid by it; NULL where it was not"),
        text("currency", "Lower-case ISO code of the invoice's currency"),
        text("type", "What it was made by: payment_intent, charge, payment_record or transaction"),
        text("payment_intent_id", "Id of the payment intent"),
        text("charge_id", "Id of the charge, where there is no payment intent"),
        text("transaction_id", "Id of the transaction, or of the record of what was paid elsewhere"),
        boolean("is_default", "Whether the provider made it by itself when the invoice was finalized"),
        boolean("paid_out_of_band", "Whether it was paid elsewhere and only recorded at the provider"),
        timestamp("created", "When it was made"),
        timestamp("paid_at", "When it was paid"),
    ),
    parent_column="invoice_id",
    is_loose=True,
)

SYNCED_TABLES: dict[str, SyncedTable] = {
    table.name: table
    for table in (
        CUSTOMERS,
        CUSTOMER_DISCOUNTS,
        CUSTOMER_TAX_IDS,
        PRODUCTS,
        PRICES,
        PRICE_TIERS,
        PRICE_CURRENCY_OPTIONS,
        SUBSCRIPTIONS,
        SUBSCRIPTION_ITEMS,
        SUBSCRIPTION_DISCOUNTS,
        SUBSCRIPTION_TAX_RATES,
        INVOICES,
        INVOICE_DISCOUNTS,
        INVOICE_LINE_ITEMS,
        INVOICE_PAYMENTS,
    )
}
"""Every synced table by name, parents before their children."""


@dataclass(frozen=True)
class Reference:
    """A column of one table that holds the ids of another's objects, as far as those are known."""

    table: SyncedTable
    column: str
    to: SyncedTable


REFERENCES = (
    Reference(PRICES, "product_id", PRODUCTS),
    Reference(SUBSCRIPTIONS, "customer_id", CUSTOMERS),
    Reference(SUBSCRIPTION_ITEMS, "price_id", PRICES),
    Reference(INVOICES, "customer_id", CUSTOMERS),
    Reference(INVOICES, "subscription_id", SUBSCRIPTIONS),
    Reference(INVOICE_LINE_ITEMS, "price_id", PRICES),
)
"""Which tables refer to each other, beside children to their parents."""


def entity_table(entity: Entity) -> SyncedTable:
    """The table of the entity's own objects."""
    return SYNCED_TABLES[entity.value]


@cache
def child_tables(entity: Entity) -> tuple[SyncedTable, ...]:
    """The child tables of the entity, loose ones included."""
    return tuple(table for table in SYNCED_TABLES.values() if table.entity is entity and table.is_child)


@cache
def strict_child_tables(entity: Entity) -> tuple[SyncedTable, ...]:
    """The child tables that are replaced together with the entity's rows."""
    return tuple(table for table in child_tables(entity) if not table.is_loose)


@cache
def loose_child_tables(entity: Entity) -> tuple[SyncedTable, ...]:
    """The child tables whose rows are merged by themselves, wherever they are told."""
    return tuple(table for table in child_tables(entity) if table.is_loose)


def key_columns(table: SyncedTable) -> tuple[str, ...]:
    """The primary key. A child's id is unique neither among all children nor, in old data, within its parent."""
    if table.parent_column is None:
        return tuple(SHARED_KEY_COLUMNS)
    *shared, own = SHARED_KEY_COLUMNS
    return (*shared, table.parent_column, own, OCCURRENCE)


def required_columns(table: SyncedTable) -> frozenset[str]:
    """The names of the columns that are never NULL."""
    own = {column.name for column in table.columns if column.required}
    return frozenset(own | set(key_columns(table)) | (set(SHARED_TAIL_COLUMNS) - {"raw", "deleted_at"}))


def tables_of(entities: Collection[Entity]) -> list[SyncedTable]:
    """The tables of the entities, child tables included, in canonical order."""
    return [table for table in SYNCED_TABLES.values() if table.entity in entities]


def personal_columns(table: SyncedTable) -> frozenset[str]:
    """The names of the columns that may tell who or where a person is; `raw` and `metadata` may too."""
    return frozenset(column.name for column in table.columns if column.is_personal) | {"raw", METADATA.name}


def all_columns(table: SyncedTable) -> tuple[tuple[str, str, str], ...]:
    """(name, Postgres type, comment) of every column of the table, in its order."""
    shared_types = {
        "workspace_id": "uuid",
        "provider": "text",
        "livemode": "boolean",
        "id": "text",
        "raw": "jsonb",
        "content_hash": "bytea",
        "source_version": "timestamptz",
        "synced_at": "timestamptz",
        "deleted_at": "timestamptz",
    }
    key = tuple((name, shared_types[name], comment) for name, comment in SHARED_KEY_COLUMNS.items())
    own, later = (
        tuple(
            (column.name, column.kind.value, column.comment) for column in table.columns if column.is_later is is_later
        )
        for is_later in (False, True)
    )
    tail = tuple((name, shared_types[name], comment) for name, comment in SHARED_TAIL_COLUMNS.items())
    place = ((OCCURRENCE, "bigint", OCCURRENCE_COMMENT),) if table.is_child else ()
    return key + own + tail + place + later


__all__ = [
    "OCCURRENCE",
    "REFERENCES",
    "SHARED_KEY_COLUMNS",
    "SHARED_TAIL_COLUMNS",
    "SYNCED_TABLES",
    "Column",
    "Kind",
    "Reference",
    "SyncedTable",
    "all_columns",
    "child_tables",
    "entity_table",
    "key_columns",
    "loose_child_tables",
    "strict_child_tables",
]
