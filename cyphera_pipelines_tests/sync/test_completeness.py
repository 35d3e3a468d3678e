"""analytics.completeness: what it says of sources that were never synced, that lack something, that are gone."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.missing import MissingKind
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.analysts import create_analyst, remove_analyst
from cyphera_pipelines.store.configurations import find_active_configuration, remove_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.missing import note_missing
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.verification.repair import verify_and_repair
from cyphera_pipelines.sync.verification.verify import VerificationJob, verify
from cyphera_pipelines_tests.conftest import new_workspace
from cyphera_pipelines_tests.sync.conftest import RunSync

ACCOUNT = SandboxAccount(
    api_key="sk_test_complete",
    account_id="acct_complete",
    customers=20,
    products=4,
    prices=6,
    subscriptions=12,
    invoices=20,
    restricted_keys={"rk_test_complete_no_invoices": frozenset({"invoice"})},
)
AddSource = Callable[..., Source]


def completeness(database: Database, workspace_id: UUID, schema: str = "analytics_test") -> dict[str, Any]:
    """The view's rows by entity, as the workspace's own transactions see them."""
    statement = text(f"SELECT * FROM {schema}.completeness WHERE workspace_id = :id")
    with database.tenant(workspace_id) as connection:
        return {row.entity: row for row in connection.execute(statement, {"id": workspace_id})}


def states(database: Database, workspace_id: UUID) -> dict[str, str]:
    return {entity: row.state for entity, row in completeness(database, workspace_id).items()}


def test_what_was_never_synced_is_not_available_and_says_what_to_do(database: Database, add_source: AddSource) -> None:
    source = add_source(ACCOUNT.api_key)
    rows = completeness(database, source.workspace_id)
    assert sorted(rows) == sorted(entity.value for entity in Entity)
    for entity, row in rows.items():
        assert (row.state, row.is_available, row.as_of, row.figures_built_at) == ("never_synced", False, None, None)
        assert row.note == (
            f"Not available: {entity} of stripe were never listed to their end. "
            f"Sync them: cyphera sync {source.workspace_slug} stripe"
        )
    assert completeness(database, source.workspace_id, "analytics") == {}, "the source is of the test mode"
    assert completeness(database, new_workspace(database).id) == {}


def test_from_the_first_sync_to_the_last(
    database: Database, keyring: Keyring, add_source: AddSource, sync_now: RunSync
) -> None:
    with SandboxServer([ACCOUNT]) as sandbox:
        source = add_source(ACCOUNT.api_key, sandbox.url)
        began = datetime.now(UTC)
        sync_now(source)
        rows = completeness(database, source.workspace_id)
        assert {row.state for row in rows.values()} == {"complete"}
        assert all(row.note is None and row.open_differences is None for row in rows.values())
        assert all(row.fully_listed_at >= began for row in rows.values())
        first_as_of = rows["invoices"].as_of
        sync_now(source)
        assert completeness(database, source.workspace_id)["invoices"].as_of > first_as_of

        with database.control() as connection:
            gone = text(
                "DELETE FROM payments.customers WHERE workspace_id = :id AND id IN (SELECT min(id) FROM "
                "payments.customers WHERE workspace_id = :id)"
            )
            assert connection.execute(gone, {"id": source.workspace_id}).rowcount == 1
        job = VerificationJob(database, keyring, source, tuple(Entity), SyncProgress(tuple(Entity)))
        verify(job)
        rows = completeness(database, source.workspace_id)
        assert (rows["customers"].state, rows["customers"].open_differences) == ("incomplete", 1)
        assert rows["customers"].note.endswith(f"cyphera verify {source.workspace_slug} stripe --repair")
        assert (rows["products"].state, rows["products"].open_differences) == ("complete", 0)
        assert rows["products"].verified_at is not None
        verify_and_repair(job)
        assert set(states(database, source.workspace_id).values()) == {"complete"}

        session = sync_now(source).session
    with database.tenant(source.workspace_id) as connection:
        lost = UnmappableObject("in_lost", "It has no currency.", {})
        note_missing(connection, session, Entity.INVOICES, [lost], MissingKind.NOT_LOADED, livemode=False, listing=None)
    row = completeness(database, source.workspace_id)["invoices"]
    assert (row.state, row.missing_objects, row.is_available) == ("incomplete", 1, True)

    workspace = find_workspace(database, source.workspace_slug)
    remove_configuration(database, find_active_configuration(database, workspace, "stripe"))
    rows = completeness(database, source.workspace_id)
    assert {row.state for row in rows.values()} == {"disconnected"}
    assert all("is not connected any more" in row.note for row in rows.values())


def test_an_entity_that_the_key_may_not_read_is_not_available(
    database: Database, add_source: AddSource, sync_now: RunSync
) -> None:
    with SandboxServer([ACCOUNT]) as sandbox:
        source = add_source("rk_test_complete_no_invoices", sandbox.url)
        sync_now(source)
    found = states(database, source.workspace_id)
    assert found.pop("invoices") == "never_synced"
    assert set(found.values()) == {"complete"}


@pytest.mark.parametrize("view", ["completeness", "figures_completeness"])
def test_an_analyst_sees_its_own_workspaces_and_no_more_of_them(
    database: Database, add_source: AddSource, view: str
) -> None:
    own, other = add_source("sk_test_complete_own"), add_source("sk_test_complete_other")
    for source in (own, other):
        add_figures(database, source)
    login = create_analyst(
        database, f"complete_{own.workspace_id.hex[:12]}", [find_workspace(database, own.workspace_slug)]
    )
    url = database.engine.url.set(username=login.role_name, password=login.password)
    with create_engine(url, poolclass=NullPool).connect() as connection:
        owners = connection.execute(text(f"SELECT workspace_id FROM analytics_test.{view}")).scalars().all()
        assert set(owners) == {own.workspace_id}
    remove_analyst(database, login.role_name)


def add_figures(database: Database, source: Source) -> None:
    """Three items at present, one of them estimated, one reconstructed, and one that ended."""
    statement = text(
        """
        INSERT INTO figures.subscription_mrr (workspace_id, provider, livemode, subscription_id, item_id, valid_from,
            valid_to, customer_id, currency, mrr, provenance, is_estimated)
        VALUES
            (:id, 'stripe', false, 'sub_1', 'si_1', '2026-01-01', NULL, 'cus_1', 'jpy', 6000, 'observed', false),
            (:id, 'stripe', false, 'sub_1', 'si_2', '2026-01-01', NULL, 'cus_1', 'jpy', 3000, 'observed', true),
            (:id, 'stripe', false, 'sub_2', 'si_3', '2026-01-01', NULL, 'cus_2', 'jpy', 1000, 'reconstructed', false),
            (:id, 'stripe', false, 'sub_3', 'si_4', '2025-01-01', '2026-01-01', 'cus_2', 'jpy', 500, 'observed', true),
            (:id, 'stripe', false, 'sub_4', 'si_5', '2026-01-01', NULL, 'cus_2', 'kwd', 1500, 'observed', true)
        """
    )
    with database.tenant(source.workspace_id) as connection:
        connection.execute(statement, {"id": source.workspace_id})


def test_shares_of_what_is_not_observed_are_of_each_currency(database: Database, add_source: AddSource) -> None:
    source = add_source("sk_test_complete_shares")
    add_figures(database, source)
    with database.tenant(source.workspace_id) as connection:
        connection.execute(
            text("INSERT INTO figures.figure_rules (workspace_id, preset, changed) VALUES (:id, 'stripe', '{}')"),
            {"id": source.workspace_id},
        )
        rows = connection.execute(text("SELECT * FROM analytics_test.figures_completeness ORDER BY currency")).all()
    told = [
        (row.currency, str(row.mrr), str(row.estimated_mrr), str(row.reconstructed_mrr), row.figures_preset)
        for row in rows
    ]
    assert told == [("jpy", "10000", "3000", "1000", "stripe"), ("kwd", "1.500", "1.500", "0.000", "stripe")]
    assert [(float(row.estimated_share), float(row.reconstructed_share)) for row in rows] == [(0.3, 0.1), (1.0, 0.0)]
