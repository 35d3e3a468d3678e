import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import AssetKey, DagsterInstance, TableSchema, asset, materialize
from sqlalchemy import text

from cyphera_pipelines.definitions import definitions
from cyphera_pipelines.model.runs import CODE_LOCATION
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.orchestration.asset_specs import ASSET_SPECS, asset_key
from cyphera_pipelines.orchestration.materializations import markdown_table
from cyphera_pipelines.orchestration.resources import PaymentProvidersResource
from cyphera_pipelines.store.database import Database
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


def test_a_child_table_hangs_on_its_entity() -> None:
    graph = definitions.resolve_asset_graph()
    assert graph.get(AssetKey(["payments", "price_tiers"])).parent_keys == {asset_key(SYNCED_TABLES["prices"])}
    assert graph.get(asset_key(SYNCED_TABLES["prices"])).parent_keys == set()
    assert graph.get(asset_key(SYNCED_TABLES["prices"])).kinds == {"stripe", "postgres"}


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
