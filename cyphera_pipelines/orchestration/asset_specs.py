"""What Dagster shows of each synced table: written once, in the model."""

from dagster import AssetKey, AssetSpec, MetadataValue, TableColumn, TableColumnConstraints, TableSchema

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.synced_tables import (
    SYNCED_TABLES,
    all_columns,
    entity_table,
    key_columns,
    tables_of,
)
from cyphera_pipelines.store.tables import PAYMENTS_SCHEMA

GROUP = "payments"
OWNER = "team:payments"


def asset_key(table: SyncedTable) -> AssetKey:
    """The asset of the table, as in `payments/customers`."""
    return AssetKey([PAYMENTS_SCHEMA, table.name])


def entity_asset_keys(entities: tuple[Entity, ...]) -> list[AssetKey]:
    """The assets of the entities and of their child tables."""
    return [asset_key(table) for table in tables_of(entities)]


def table_name(table: SyncedTable) -> str:
    """The table as SQL names it, as in `payments.customers`."""
    return f"{PAYMENTS_SCHEMA}.{table.name}"


def asset_spec(table: SyncedTable) -> AssetSpec:
    """The asset of a synced table; a child table's hangs on its entity's."""
    return AssetSpec(
        asset_key(table),
        deps=[asset_key(entity_table(table.entity))] if table.is_child else [],
        description=f"{table.comment}.",
        metadata={
            "dagster/table_name": table_name(table),
            "dagster/column_schema": MetadataValue.table_schema(column_schema(table)),
        },
        group_name=GROUP,
        owners=[OWNER],
        kinds={"stripe", "postgres"},
        tags={"cyphera/entity": table.entity.value},
        # A source whose table did not complete must not look materialised.
        skippable=True,
    )


def column_schema(table: SyncedTable) -> TableSchema:
    """The table's columns with their types and comments."""
    required = {column.name for column in table.columns if column.required} | set(key_columns(table))
    return TableSchema(
        columns=[
            TableColumn(
                name,
                kind,
                description=comment,
                constraints=TableColumnConstraints(nullable=name not in required),
            )
            for name, kind, comment in all_columns(table)
        ]
    )


ASSET_SPECS = [asset_spec(table) for table in SYNCED_TABLES.values()]
"""The assets of all synced tables, parents before their children."""

TABLES_BY_ASSET_KEY = {asset_key(table): table for table in SYNCED_TABLES.values()}
"""The synced table of each asset."""
