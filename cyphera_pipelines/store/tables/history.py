"""What subscriptions were: every state that was applied, from the first sync on. Schema `payments`."""

from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from cyphera_pipelines.model.synced_tables import SHARED_KEY_COLUMNS
from cyphera_pipelines.store.tables.metadata import PAYMENTS_SCHEMA, metadata


def _moment(name: str, comment: str, **how: Any) -> Column[Any]:
    return Column(name, DateTime(timezone=True), comment=comment, **how)


subscription_history = Table(
    "subscription_history",
    metadata,
    Column("workspace_id", UUID(as_uuid=True), primary_key=True, comment=SHARED_KEY_COLUMNS["workspace_id"]),
    Column("provider", Text, primary_key=True, comment=SHARED_KEY_COLUMNS["provider"]),
    Column("livemode", Boolean, primary_key=True, comment=SHARED_KEY_COLUMNS["livemode"]),
    Column("subscription_id", Text, primary_key=True, comment="Id of the subscription"),
    _moment(
        "held_at",
        "The provider held this state from this moment, or an earlier one, until the next state's",
        primary_key=True,
    ),
    Column("customer_id", Text, comment="Id of the customer"),
    Column("status", Text, comment="As in payments.subscriptions"),
    Column("currency", Text, comment="Lower-case ISO code of the subscription's currency"),
    _moment("created", "When the subscription was created", nullable=False),
    _moment("start_date", "When the subscription began, possibly before it was created here"),
    _moment("trial_start", "When the trial began"),
    _moment("trial_end", "When the trial ends"),
    _moment("canceled_at", "When cancellation was asked for"),
    _moment("cancel_at", "When the subscription will be canceled"),
    Column("cancel_at_period_end", Boolean, comment="Whether the subscription ends with the current period"),
    _moment("ended_at", "When the subscription ended"),
    Column(
        "pause_collection_behavior", Text, comment="What happens to invoices while collection is paused; NULL if not"
    ),
    _moment("pause_collection_resumes_at", "When collection resumes"),
    Column("is_gone", Boolean, nullable=False, server_default=text("false"), comment="Whether it was gone by then"),
    Column(
        "items",
        JSONB,
        nullable=False,
        comment="Its items, in the order of their ids: the columns of payments.subscription_items that tell what they "
        "cost, with the price as it was then",
    ),
    Column(
        "discounts",
        JSONB,
        nullable=False,
        comment="The discounts on it and its items, in their order, as in payments.subscription_discounts",
    ),
    Column(
        "tax_rates",
        JSONB,
        nullable=False,
        comment="The tax rates of it and its items, in their order, as in payments.subscription_tax_rates",
    ),
    _moment("recorded_at", "When this row was written", nullable=False, server_default=text("now()")),
    Index("subscription_history_recorded_at_idx", "recorded_at", "workspace_id", "provider", "livemode"),
    schema=PAYMENTS_SCHEMA,
    comment="States of subscriptions: one row for each that differed from the one before, from the first sync on",
)
"""Written by the database itself, with the subscriptions' rows; see migration 0030."""

customer_discount_history = Table(
    "customer_discount_history",
    metadata,
    Column("workspace_id", UUID(as_uuid=True), primary_key=True, comment=SHARED_KEY_COLUMNS["workspace_id"]),
    Column("provider", Text, primary_key=True, comment=SHARED_KEY_COLUMNS["provider"]),
    Column("livemode", Boolean, primary_key=True, comment=SHARED_KEY_COLUMNS["livemode"]),
    Column("customer_id", Text, primary_key=True, comment="Id of the customer"),
    _moment(
        "held_at",
        "The provider held this state from this moment, or an earlier one, until the next state's",
        primary_key=True,
    ),
    Column(
        "discounts",
        JSONB,
        nullable=False,
        comment="The discounts on the customer, in their order, as in payments.customer_discounts",
    ),
    _moment("recorded_at", "When this row was written", nullable=False, server_default=text("now()")),
    Index("customer_discount_history_recorded_at_idx", "recorded_at", "workspace_id", "provider", "livemode"),
    schema=PAYMENTS_SCHEMA,
    comment="Discounts of customers: one row for each state that differed from the one before; none while a customer "
    "never had one",
)
"""Written by the database itself, with the customers' rows; see migration 0030."""

history_tables = (subscription_history, customer_discount_history)
