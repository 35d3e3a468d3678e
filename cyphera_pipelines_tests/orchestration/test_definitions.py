import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import AssetKey, DagsterInstance, IdentityPartitionMapping, TableSchema, asset, materialize
from sqlalchemy import text

from cyphera_pipelines.definitions import definitions
from cyphera_pipelines.model.runs import CODE_LOCATION
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.orchestration.asset_specs import ASSET_SPECS, asset_key
from cyphera_pipelines.orchestration.materializations import markdown_table
from cyphera_pipelines.orchestration.resources import PaymentProvidersResource
from cyphera_pipelines.providers.registry import PROVIDERS
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import revenue_tables
from cyphera_pipelines_tests.orchestration.conftest import Tenant


def test_dagster_validates_the_project(dagster_home: Path) -> None:
    command = [str(Path(sys.executable).with_name("dagster")), "definitions", "validate"]
    done = subprocess.run(command, cwd=dagster_home, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert CODE_LOCATION in done.stdout + done.stderr


def test_runs_of_the_command_line_name_the_code_location_of_the_workspace(dagster_home: Path) -> None:
    workspace = (dagster_home / "workspace.yaml").read_text()
    assert f"module_name: {CODE_LOCATION}\n" in workspace
    assert "location_name" not in workspace, "a location is named after its module"


def test_dg_names_the_code_location_as_the_workspace_does(dagster_home: Path) -> None:
    project = tomllib.loads((dagster_home / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    assert project["code_location_name"] == project["code_location_target_module"] == CODE_LOCATION


def test_the_definitions_can_be_loaded() -> None:
    definitions.validate_loadable(definitions)


@pytest.mark.parametrize("key", [spec.key for spec in ASSET_SPECS], ids=lambda key: key.path[-1])
def test_an_assets_columns_are_those_of_the_database_with_its_comments(key: AssetKey, database: Database) -> None:
    (found,) = [spec for spec in definitions.resolve_all_asset_specs() if spec.key == key]
    schema = found.metadata["dagster/column_schema"].value
    assert isinstance(schema, TableSchema)
    query = text(
        "SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum), attnotnull "
        "FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped "
        "ORDER BY attnum"
    )
    with database.control() as connection:
        rows = connection.execute(query, {"table": found.metadata["dagster/table_name"]}).all()
    short = {"timestamp with time zone": "timestamptz"}
    assert [(column.name, column.type, column.description) for column in schema.columns] == [
        (name, short.get(kind, kind), comment) for name, kind, comment, _ in rows
    ]
    assert {column.name for column in schema.columns if not column.constraints.nullable} <= {
        name for name, _, _, required in rows if required
    }


def test_a_table_hangs_on_what_it_comes_from_and_refers_to() -> None:
    graph, providers = definitions.resolve_asset_graph(), {AssetKey(name) for name in PROVIDERS}
    tables = {name: asset_key(table) for name, table in SYNCED_TABLES.items()}
    parents = {
        "customers": providers,
        "customer_discounts": {tables["customers"]},
        "customer_tax_ids": {tables["customers"]},
        "products": providers,
        "prices": {*providers, tables["products"]},
        "price_tiers": {tables["prices"]},
        "price_currency_options": {tables["prices"]},
        "subscriptions": {*providers, tables["customers"]},
        "subscription_items": {tables["subscriptions"], tables["prices"]},
        "subscription_discounts": {tables["subscriptions"]},
        "subscription_tax_rates": {tables["subscriptions"]},
        "invoices": {*providers, tables["customers"], tables["subscriptions"]},
        "invoice_discounts": {tables["invoices"]},
        "invoice_line_items": {tables["invoices"], tables["prices"]},
        "invoice_payments": {tables["invoices"]},
    }
    assert {name: graph.get(key).parent_keys for name, key in tables.items()} == parents
    assert all(graph.get(provider).is_external for provider in providers)
    assert graph.get(tables["prices"]).kinds == {*PROVIDERS, "postgres"}
    for key in tables.values():
        mappings = [graph.get_partition_mapping(key, parent) for parent in graph.get(key).parent_keys - providers]
        assert all(isinstance(mapping, IdentityPartitionMapping) for mapping in mappings)


def test_a_table_names_the_code_that_fills_it() -> None:
    (found,) = [
        spec for spec in definitions.resolve_all_asset_specs() if spec.key == asset_key(SYNCED_TABLES["prices"])
    ]
    (code,) = found.metadata["dagster/code_references"].code_references
    assert Path(code.file_path).parts[-2:] == ("orchestration", "assets.py")


def dg(*arguments: str, home: Path) -> str:
    command = [str(Path(sys.executable).with_name("dg")), *arguments]
    done = subprocess.run(command, cwd=home, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_dg_checks_and_lists_the_definitions(dagster_home: Path) -> None:
    dg("check", "defs", home=dagster_home)
    listed = json.loads(dg("list", "defs", "--json", home=dagster_home))
    assert {asset["asset_key"] for asset in listed["assets"]} == {
        *PROVIDERS,
        *(f"payments/{name}" for name in SYNCED_TABLES),
        "figures/subscription_mrr",
        "figures/mrr_movements",
        *(f"figures/{table.name}" for table in revenue_tables),
    }
    assert {job["name"] for job in listed["jobs"]} >= {"sync_source", "sync_changes", "build_figures"}


def test_assets_of_other_people_can_reach_a_sources_provider(
    add_tenant: Callable[..., Tenant], instance: DagsterInstance
) -> None:
    tenant = add_tenant()

    @asset
    def account_name(payment_providers: PaymentProvidersResource) -> str:
        with payment_providers.connect(tenant.source) as client:
            return client.account().id

    done = materialize([account_name], instance=instance, resources=definitions.resources)
    assert done.output_for_node("account_name") == tenant.account.account_id


def test_a_preview_survives_any_text() -> None:
    table = markdown_table([{"id": "a|b", "name": "line\nbreak <b>x</b>", "long": "y" * 100, "none": None}])
    header, rule, row = table.splitlines()
    assert header == "| id | name | long | none |"
    assert rule == "| --- | --- | --- | --- |"
    assert row == f"| a\\|b | line break \\<b>x\\</b> | {'y' * 39}… |  |"
    assert markdown_table([]) == "No rows."
