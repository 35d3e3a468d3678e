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
        Index(f"{table.name}_created_idx", "workspace_id", "provider", "livemode", "created", postgresql_where=live)
    ]
    if table.is_child:
        # Children are looked for by their parent, by which their key begins, and never by their own age.
        indexes = []
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
