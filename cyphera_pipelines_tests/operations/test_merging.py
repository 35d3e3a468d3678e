"""What a write's answer tells is in the tables when it is settled, or a sync is wanted that brings it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.writes import Write, WriteState
from cyphera_pipelines.operations.asked import Asked
from cyphera_pipelines.operations.carrying_out import carry_out
from cyphera_pipelines.operations.settling import settle_write
from cyphera_pipelines.providers.base import CustomerRequest, ObjectKind, Operation
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.cursors import complete_listing, save_watermark
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.pauses import pause_source
from cyphera_pipelines.store.synced_accounts import SyncedAccount, save_synced_account
from cyphera_pipelines.sync.client import key_digest
from cyphera_pipelines_tests.operations.ledger_server import Ledger, Misbehaviour

SendNow = Callable[..., Write]


@pytest.fixture
def send(database: Database, keyring: Keyring, source: Source) -> SendNow:
    numbers = iter(range(100))

    def carry(operation: Operation, object_id: str | None = None, **said: str) -> Write:
        asked = Asked(ObjectKind.CUSTOMERS, operation, object_id, CustomerRequest(**said) if said else None)  # type: ignore[arg-type]
        return carry_out(database, keyring, source, asked, f"key {next(numbers)}").write

    return carry


@pytest.fixture
def listed(database: Database, keyring: Keyring, source: Source) -> Source:
    """The source, its customers listed a minute ago."""
    note_listing(database, keyring, source, datetime.now(UTC) - timedelta(minutes=1))
    return source


def note_listing(database: Database, keyring: Keyring, source: Source, watermark: datetime) -> None:
    binding = Binding(source.workspace_id, source.configuration_id, source.provider)
    digest = key_digest(read_credentials(database, keyring, binding), None, source.provider)
    account = SyncedAccount("acct_ledger", digest)
    save_synced_account(database, source, account, livemode=False, forgets_positions=False)
    with database.tenant(source.workspace_id) as connection:
        complete_listing(connection, source, Entity.CUSTOMERS, watermark, livemode=False, mapping_version=1)
        save_watermark(connection, source, Entity.CUSTOMERS, watermark, livemode=False)


def rows(database: Database, source: Source) -> dict[str, Any]:
    """The names of the customers in the table; None for those that are marked as gone."""
    statement = text("SELECT id, name, deleted_at FROM payments.customers WHERE workspace_id = :workspace_id")
    with database.control() as connection:
        found = connection.execute(statement, {"workspace_id": source.workspace_id})
        return {row.id: row.name if row.deleted_at is None else None for row in found}


def is_sync_wanted(database: Database, source: Source) -> bool:
    statement = text("SELECT wanted_at IS NOT NULL FROM sync.source_schedules WHERE workspace_id = :workspace_id")
    with database.control() as connection:
        return bool(connection.execute(statement, {"workspace_id": source.workspace_id}).scalar_one())


def test_an_object_is_in_its_table_as_soon_as_it_is_written(send: SendNow, database: Database, listed: Source) -> None:
    made = send(Operation.CREATE, name="Acme").object_id
    assert rows(database, listed) == {made: "Acme"}
    send(Operation.UPDATE, made, name="Acme Inc.")
    assert rows(database, listed) == {made: "Acme Inc."}
    send(Operation.DELETE, made)
    assert rows(database, listed) == {made: None}
    assert not is_sync_wanted(database, listed)


def test_what_was_found_out_later_is_brought_in_too(
    send: SendNow, database: Database, keyring: Keyring, listed: Source, ledger: Ledger
) -> None:
    ledger.misbehaves = Misbehaviour(cut_after=1.0)
    lost = send(Operation.CREATE, name="Acme")
    assert (lost.state, rows(database, listed)) == (WriteState.UNKNOWN, {})
    ledger.misbehaves = Misbehaviour()
    settled = settle_write(database, keyring, lost)
    assert rows(database, listed) == {settled.object_id: "Acme"}


def test_of_what_was_never_listed_nothing_is_in_the_tables(send: SendNow, database: Database, source: Source) -> None:
    assert send(Operation.CREATE, name="Acme").state is WriteState.DONE
    assert rows(database, source) == {}, "the first listing brings it with all others"


def test_a_paused_source_s_rows_stay_and_a_sync_is_wanted(send: SendNow, database: Database, listed: Source) -> None:
    made = send(Operation.CREATE, name="Acme").object_id
    pause_source(database, listed, "Somebody looks at them")
    assert send(Operation.UPDATE, made, name="Acme Inc.").state is WriteState.DONE
    assert rows(database, listed) == {made: "Acme"}
    assert is_sync_wanted(database, listed)


def test_a_newer_row_stays_and_a_sync_is_wanted(
    send: SendNow, database: Database, listed: Source, ledger: Ledger
) -> None:
    made = send(Operation.CREATE, name="Acme").object_id
    with database.control() as connection:
        newer = text("UPDATE payments.customers SET source_version = now() + interval '1 hour', name = 'Newer'")
        connection.execute(newer)
    send(Operation.UPDATE, made, name="Acme Inc.")
    assert rows(database, listed) == {made: "Newer"}
    assert is_sync_wanted(database, listed)


def test_a_row_that_somebody_holds_is_left_to_a_sync(send: SendNow, database: Database, listed: Source) -> None:
    made = send(Operation.CREATE, name="Acme").object_id
    with database.control() as elsewhere:
        elsewhere.execute(text("SELECT FROM payments.customers WHERE id = :id FOR UPDATE"), {"id": made})
        assert send(Operation.UPDATE, made, name="Acme Inc.").state is WriteState.DONE
    assert rows(database, listed) == {made: "Acme"}
    assert is_sync_wanted(database, listed)


def test_of_another_account_than_the_tables_nothing_is_merged(
    send: SendNow, database: Database, listed: Source
) -> None:
    with database.control() as connection:
        other = text("UPDATE sync.synced_accounts SET key_digest = 'another' WHERE workspace_id = :workspace_id")
        connection.execute(other, {"workspace_id": listed.workspace_id})
    assert send(Operation.CREATE, name="Acme").state is WriteState.DONE
    assert rows(database, listed) == {}
    assert is_sync_wanted(database, listed)
