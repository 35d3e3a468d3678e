"""Writes that are looked into by themselves: of all workspaces in turn, whatever stands in one's way."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.writes import Write, WriteState
from cyphera_pipelines.operations.asked import Asked
from cyphera_pipelines.operations.carrying_out import carry_out
from cyphera_pipelines.operations.settling import settle_overdue, settle_write
from cyphera_pipelines.providers.base import CustomerRequest, ObjectKind, Operation
from cyphera_pipelines.security.encryption import EncryptionKey, Keyring
from cyphera_pipelines.store.configurations import create_configuration, find_active_configuration, remove_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.provider_writes import get_write, take_up
from cyphera_pipelines.store.stored_values import UNSETTLED_WRITES, count_values_by_key, reencrypt_values
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.operations.conftest import AddLedger
from cyphera_pipelines_tests.operations.ledger import NAME
from cyphera_pipelines_tests.operations.ledger_server import Ledger, Misbehaviour, serving_ledger

ACME = Asked(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(name="Acme"))


@pytest.fixture
def other_ledger() -> Iterator[Ledger]:
    with serving_ledger() as served:
        yield served


def lose(database: Database, keyring: Keyring, source: Source, ledger: Ledger, key: str = "first") -> Write:
    """A write of which no answer came."""
    ledger.misbehaves = Misbehaviour(cut_after=1.0)
    lost = carry_out(database, keyring, source, ACME, key).write
    ledger.misbehaves = Misbehaviour()
    assert lost.state is WriteState.UNKNOWN
    return lost


def state(database: Database, write: Write) -> WriteState:
    return get_write(database, write.workspace_id, write.id).state


def forget_what_other_tests_left(database: Database) -> None:
    """A portion is of all workspaces and of limited size: what others left unsettled would come first."""
    with database.control() as connection:
        connection.execute(text("DELETE FROM sync.provider_writes WHERE settled_at IS NULL"))


def test_a_source_that_cannot_be_asked_holds_up_no_other(
    database: Database, keyring: Keyring, add_ledger: AddLedger, ledger: Ledger, other_ledger: Ledger
) -> None:
    forget_what_other_tests_left(database)
    broken, working = add_ledger(ledger.url), add_ledger(other_ledger.url)
    stuck = [lose(database, keyring, broken, ledger, f"stuck {number}") for number in range(3)]
    lost = [lose(database, keyring, working, other_ledger, f"lost {number}") for number in range(3)]
    ledger.misbehaves = Misbehaviour(refuse_reads=1.0)
    asked = ledger.count("GET")
    portion = settle_overdue(database, keyring, within=300.0, quiet_for=0.0)
    assert {state(database, each) for each in lost} == {WriteState.DONE}
    assert {state(database, each) for each in stuck} == {WriteState.UNKNOWN}
    assert broken.configuration_id in portion.failed
    assert ledger.count("GET") == asked + 1, "the others of a source that cannot be asked wait for the next portion"
    ledger.misbehaves = Misbehaviour()
    settle_overdue(database, keyring, within=300.0, quiet_for=0.0, workspace_id=broken.workspace_id)
    assert {state(database, each) for each in stuck} == {WriteState.DONE}


def test_a_new_encryption_key_takes_over_what_was_sent(
    database: Database, keyring: Keyring, source: Source, ledger: Ledger
) -> None:
    lost, settled = (lose(database, keyring, source, ledger, key) for key in ("first", "second"))
    assert settle_write(database, keyring, settled).state is WriteState.DONE
    newer = Keyring(EncryptionKey.generate(), (keyring.newest().current,))
    try:
        assert reencrypt_values(database, newer, UNSETTLED_WRITES).reencrypted >= 1
        assert reencrypt_values(database, newer, UNSETTLED_WRITES).reencrypted == 0
        kept = take_up(database, lost, busy_for=1.0)
        assert kept is not None
        assert kept.request is not None
        assert f".{newer.current.key_id}." in kept.request
        assert set(count_values_by_key(database, UNSETTLED_WRITES)) == {newer.current.key_id}
    finally:
        former = Keyring(keyring.newest().current, (newer.current,))
        # The other tests' keys open it again.
        assert reencrypt_values(database, former, UNSETTLED_WRITES).unreadable == []


def test_what_somebody_is_at_work_on_or_was_just_now_is_left_to_him(
    database: Database, keyring: Keyring, source: Source, ledger: Ledger
) -> None:
    lost = lose(database, keyring, source, ledger)
    settle_overdue(database, keyring, within=300.0, quiet_for=60.0, workspace_id=source.workspace_id)
    assert state(database, lost) is WriteState.UNKNOWN, "it was just now"
    assert take_up(database, lost, busy_for=60.0) is not None
    settle_overdue(database, keyring, within=300.0, quiet_for=0.0, workspace_id=source.workspace_id)
    assert settle_write(database, keyring, lost).state is WriteState.UNKNOWN
    assert ledger.count("GET") == 0


def test_whoever_was_thought_dead_settles_nothing(
    database: Database, keyring: Keyring, source: Source, ledger: Ledger
) -> None:
    ledger.stalls.clear()
    with ThreadPoolExecutor(1) as elsewhere:
        slow = elsewhere.submit(carry_out, database, keyring, source, ACME, "first")
        assert ledger.arrived.acquire(timeout=120)
        with database.control() as connection:
            lapsed = text(
                "UPDATE sync.provider_writes SET busy_until = now(), attempts = attempts + 1 WHERE workspace_id = :id"
            )
            connection.execute(lapsed, {"id": source.workspace_id})
        ledger.stalls.set()
        result = slow.result(60).write
    assert result.state is WriteState.SENT, "it is somebody else's now"
    settled = settle_write(database, keyring, result)
    assert (settled.state, settled.was_found) == (WriteState.DONE, True)
    assert list(ledger.made.values()) == [1]


def test_with_another_key_nothing_is_sent_again(
    database: Database, keyring: Keyring, source: Source, ledger: Ledger
) -> None:
    ledger.misbehaves = Misbehaviour(cut_before=1.0)
    lost = carry_out(database, keyring, source, ACME, "first").write
    ledger.misbehaves = Misbehaviour()
    change_key(database, keyring, source, ledger, "sk_test_another_key")
    assert settle_write(database, keyring, lost).state is WriteState.UNKNOWN
    assert ledger.count("POST") == 1, "it may be another account"
    change_key(database, keyring, source, ledger, "sk_test_ledger_key")
    assert settle_write(database, keyring, lost).state is WriteState.DONE


def change_key(database: Database, keyring: Keyring, source: Source, ledger: Ledger, api_key: str) -> None:
    workspace = find_workspace(database, source.workspace_slug)
    remove_configuration(database, find_active_configuration(database, workspace, NAME))
    credentials = Credentials(api_key=SecretStr(api_key), base_url=ledger.url)
    create_configuration(database, keyring, workspace, NAME, credentials, is_test_mode=True)


def test_a_removed_configuration_s_credentials_are_not_used(
    database: Database, keyring: Keyring, source: Source, ledger: Ledger
) -> None:
    lost = lose(database, keyring, source, ledger)
    workspace = find_workspace(database, source.workspace_slug)
    remove_configuration(database, find_active_configuration(database, workspace, NAME))
    portion = settle_overdue(database, keyring, within=300.0, quiet_for=0.0, workspace_id=source.workspace_id)
    assert "was removed" in portion.failed[source.configuration_id]
    assert state(database, lost) is WriteState.UNKNOWN
    assert ledger.count("GET") == 0


def test_a_request_that_does_not_open_says_so(
    database: Database, keyring: Keyring, source: Source, ledger: Ledger
) -> None:
    lost = lose(database, keyring, source, ledger)
    portion = settle_overdue(
        database, Keyring(EncryptionKey.generate()), within=300.0, quiet_for=0.0, workspace_id=source.workspace_id
    )
    assert f"Write {lost.id}" in portion.failed[source.configuration_id]
    assert settle_write(database, keyring, lost).state is WriteState.DONE
