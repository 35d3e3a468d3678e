"""Synced tables: built from the model, so that names, kinds and comments stand in one place. Schema `payments`."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, UUID

from cyphera_pipelines.model.synced_tables import (
    OCCURRENCE,
    SYNCED_TABLES,
    SyncedTable,
    all_columns,
    key_columns,
    required_columns,
)
from cyphera_pipelines.store.tables.metadata import PAYMENTS_SCHEMA, metadata

_TYPES: dict[str, Any] = {
    "text": Text(),
    "bigint": BigInteger(),
    "boolean": Boolean(),
    "timestamptz": DateTime(timezone=True),
    "numeric": Numeric(),
    "jsonb": JSONB(none_as_null=True),
    "bytea": BYTEA(),
    "uuid": UUID(as_uuid=True),
}
_DEFAULTS = {"synced_at": text("now()"), OCCURRENCE: text("0")}

_SEARCHED_REFERENCES = {
    "prices": ("product_id",),
    "subscriptions": ("customer_id",),
    "subscription_items": ("price_id",),
    "invoices": ("customer_id", "subscription_id"),
    "invoice_line_items": ("subscription_id",),
}
"""What else than their own ids rows are looked for by, behind the workspace that every policy names.

There are more lines than of all else: figures look for those of the few subscriptions that changed, and who asks for
those of a price or product mostly reads all.
"""
_OWED = text("deleted_at IS NULL AND status IN ('open', 'uncollectible')")
"""Invoices of which something may be owed: few of all, and asked for every day."""
_ASKED_OF_WHAT_IS_OWED = (
    "currency",
    "status",
    "customer_id",
    "amount_remaining",
    "attempt_count",
    "due_date",
    "finalized_at",
    "effective_at",
    "created",
)
"""In their index, since a twentieth of all invoices is spread over nearly all pages."""
_SIFTED_BY_WRITING = ("invoices", "invoice_line_items")
"""Tables of which figures ask what was written lately. A block range index of that costs a few bytes for 128 pages."""


def _build(table: SyncedTable) -> Table:
    required = required_columns(table)
    columns: list[Column[Any]] = [
        Column(
            name,
            _TYPES[kind],
            nullable=name not in required,
            comment=comment,
            server_default=_DEFAULTS.get(name),
        )
        for name, kind, comment in all_columns(table)
    ]
    live = text("deleted_at IS NULL")
    indexes = [
        Index(f"{table.name}_{axis}_idx", "workspace_id", "provider", "livemode", axis, postgresql_where=live)
        for axis in table.axes
    ]
    if table.is_child:
        # Children are looked for by their parent, by which their key begins, and never by their own age.
        indexes = []
    indexes += [
        Index(f"{table.name}_{column}_idx", "workspace_id", column, postgresql_where=live)
        for column in _SEARCHED_REFERENCES.get(table.name, ())
    ]
    if table.name == "invoices":
        indexes.append(
            Index(
                "invoices_owed_amounts_idx",
                "workspace_id",
                "provider",
                "livemode",
                postgresql_include=_ASKED_OF_WHAT_IS_OWED,
                postgresql_where=_OWED,
            )
        )
    if table.name in _SIFTED_BY_WRITING:
        indexes.append(Index(f"{table.name}_synced_at_idx", "synced_at", postgresql_using="brin"))
    return Table(
        table.name,
        metadata,
        *columns,
        PrimaryKeyConstraint(*key_columns(table)),
        *indexes,
        schema=PAYMENTS_SCHEMA,
        comment=table.comment,
    )


synced_tables: dict[str, Table] = {name: _build(table) for name, table in SYNCED_TABLES.items()}
"""The synced tables by name."""
