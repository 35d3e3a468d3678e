"""What Dagster shows of each synced table, and where its rows come from: written once, in the model."""

from dagster import (
    AssetDep,
    AssetKey,
    AssetSpec,
    IdentityPartitionMapping,
    MetadataValue,
    TableColumn,
    TableColumnConstraints,
    TableSchema,
)

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.synced_tables import (
    REFERENCES,
    SYNCED_TABLES,
    all_columns,
    entity_table,
    required_columns,
    tables_of,
)
from cyphera_pipelines.providers.base import Provider
from cyphera_pipelines.providers.registry import PROVIDERS
from cyphera_pipelines.store.tables import PAYMENTS_SCHEMA

GROUP = "payments"
PROVIDERS_GROUP = "payment_providers"
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


def provider_spec(provider: Provider) -> AssetSpec:
    """A provider, as an asset that nobody here materialises: what its entities' tables come from."""
    return AssetSpec(
        AssetKey([provider.name]),
        description=f"The workspaces' accounts at {provider.title}: syncs read them, and change nothing there.",
        group_name=PROVIDERS_GROUP,
        kinds={provider.name},
    )


def lineage(table: SyncedTable) -> list[AssetDep]:
    """What the table's rows come from, and the tables that they refer to.

    Lineage only: whatever is selected is synced by one step, and nothing else. A source's rows refer to rows of that
    source alone, so each partition hangs on the one of its own name.
    """
    tables = [entity_table(table.entity)] if table.is_child else []
    tables += [reference.to for reference in REFERENCES if reference.table is table]
    told_by = [provider for provider in PROVIDERS.values() if table.entity in provider.entities and not table.is_child]
    upstream = [AssetDep(AssetKey([provider.name])) for provider in told_by]
    return upstream + [AssetDep(asset_key(to), partition_mapping=IdentityPartitionMapping()) for to in tables]


def asset_spec(table: SyncedTable) -> AssetSpec:
    """The asset of a synced table."""
    return AssetSpec(
        asset_key(table),
        deps=lineage(table),
        description=f"{table.comment}.",
        metadata={
            "dagster/table_name": table_name(table),
            "dagster/column_schema": MetadataValue.table_schema(column_schema(table)),
        },
        group_name=GROUP,
        owners=[OWNER],
        # Dagster shows three kinds at most.
        kinds={*list(PROVIDERS)[:2], "postgres"},
        tags={"cyphera/entity": table.entity.value},
        # A source whose table did not complete must not look materialised.
        skippable=True,
    )


def column_schema(table: SyncedTable) -> TableSchema:
    """The table's columns with their types and comments."""
    required = required_columns(table)
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


PROVIDER_SPECS = [provider_spec(provider) for provider in PROVIDERS.values()]
"""The providers, each as an external asset."""

ASSET_SPECS = [asset_spec(table) for table in SYNCED_TABLES.values()]
"""The assets of all synced tables, parents before their children."""

TABLES_BY_ASSET_KEY = {asset_key(table): table for table in SYNCED_TABLES.values()}
"""The synced table of each asset."""
