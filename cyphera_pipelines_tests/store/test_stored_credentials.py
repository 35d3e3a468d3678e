"""Rotating the key that credentials are encrypted with, while syncs and the API use them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.configuration import Configuration, Credentials
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import Binding, EncryptionKey, Keyring
from cyphera_pipelines.store import migrations, stored_credentials
from cyphera_pipelines.store.audit import list_audit_entries
from cyphera_pipelines.store.configurations import (
    ConfigurationChange,
    change_configuration,
    create_configuration,
    read_credentials,
    remove_configuration,
)
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.stored_credentials import (
    Rotation,
    count_by_key,
    reencrypt_all,
    unreadable_credentials,
)
from cyphera_pipelines.store.workspaces import create_workspace
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session

OLD, NEW = EncryptionKey.generate(), EncryptionKey.generate()
BOTH = Keyring(NEW, previous=(OLD,))
COUNT = 60
ACCOUNT = SandboxAccount(api_key="sk_test_rotated", account_id="acct_rotated", seed=4, customers=40, invoices=40)


@pytest.fixture
def own(empty: Engine) -> Database:
    """A database whose keys no other test uses."""
    migrations.upgrade(empty)
    return Database(empty, "", empty.url)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_credentials, "BATCH", 7)


def credentials(number: int) -> Credentials:
    return Credentials(api_key=SecretStr(f"sk_test_{number}"), webhook_secret=SecretStr(f"whsec_{number}"))


def make(database: Database, workspace: Workspace, number: int, keyring: Keyring) -> Configuration:
    return create_configuration(
        database, keyring, workspace, "stripe", credentials(number), is_test_mode=True, is_active=False
    )


@pytest.fixture
def stored(own: Database, small_batches: None) -> tuple[Workspace, list[Configuration]]:
    """Configurations under the old key, every tenth of them removed."""
    workspace = create_workspace(own, "acme")
    made = [make(own, workspace, number, Keyring(OLD)) for number in range(COUNT)]
    for configuration in made[::10]:
        remove_configuration(own, configuration)
    return workspace, made


def _always(change: ConfigurationChange, *_present: object) -> ConfigurationChange:
    return change


def test_everything_comes_under_the_newest_key_while_syncs_and_the_api_go_on(
    own: Database, stored: tuple[Workspace, list[Configuration]]
) -> None:
    workspace, made = stored
    is_over = threading.Event()
    with SandboxServer([ACCOUNT]) as sandbox, ThreadPoolExecutor(4) as threads:
        synced = Credentials(api_key=SecretStr(ACCOUNT.api_key), base_url=sandbox.url)
        create_configuration(own, Keyring(OLD), workspace, "stripe", synced, is_test_mode=True)
        source = find_source(own, "acme:stripe")

        def sync() -> list[SessionStatus]:
            """With processes' keys: those from before the newest key came, which read both, and those since."""
            return [
                run_sync(SyncJob(own, keyring, source, open_session(own, source, request), request)).status
                for keyring, request in ((BOTH, SyncRequest()), (Keyring(OLD, previous=(NEW,)), SyncRequest()))
            ]

        def read() -> int:
            count = 0
            while not is_over.is_set():
                for number, configuration in enumerate(made):
                    found = read_credentials(own, BOTH, Binding(workspace.id, configuration.id, "stripe"))
                    assert found in (credentials(number), credentials(number + 1_000))
                    count += 1
            return count

        def change() -> int:
            """Some are given other credentials meanwhile, by a process that knows the old key as the newest."""
            changed = made[5::10]
            for configuration in changed:
                other = ConfigurationChange({}, credentials(1_000 + made.index(configuration)))
                decide = partial(_always, other)
                change_configuration(own, Keyring(OLD, previous=(NEW,)), workspace.id, configuration.id, decide)
            return len(changed)

        def rotate() -> Rotation:
            return reencrypt_all(own, BOTH)

        reading, changing, syncing = threads.submit(read), threads.submit(change), threads.submit(sync)
        first = rotate()
        assert changing.result(60) > 0
        assert syncing.result(120) == [SessionStatus.COMPLETED] * 2
        last = rotate()
        is_over.set()
        assert reading.result(60) > 0
    assert (first.busy, first.unreadable, last.busy, last.unreadable) == (0, [], 0, [])
    assert first.reencrypted + last.reencrypted >= COUNT + 1
    assert count_by_key(own) == {NEW.key_id: COUNT + 1}
    again = rotate()
    assert (again.reencrypted, again.already) == (0, COUNT + 1)
    # The old key is gone; every credential opens, a webhook's secret like any other, and is the last that was entered.
    for number, configuration in enumerate(made):
        expected = credentials(number + 1_000 if number % 10 == 5 else number)
        assert read_credentials(own, Keyring(NEW), Binding(workspace.id, configuration.id, "stripe")) == expected


def test_what_does_not_open_is_named_counted_and_left_as_it_is(
    own: Database, stored: tuple[Workspace, list[Configuration]]
) -> None:
    workspace, made = stored
    lost = EncryptionKey.generate()
    under_lost = make(own, workspace, 1, Keyring(lost))
    broken = "UPDATE sync.workspace_payment_configurations SET configuration = :value WHERE id = :id"
    with own.control() as connection:
        connection.execute(text(broken), {"value": '{"api_key": "planted"}', "id": made[3].id})
        connection.execute(text(broken), {"value": f"v1.{OLD.key_id}.AAAA", "id": made[4].id})
    assert count_by_key(own) == {OLD.key_id: COUNT - 1, lost.key_id: 1, None: 1}
    rotation = reencrypt_all(own, BOTH)
    assert (rotation.reencrypted, rotation.already, rotation.busy) == (COUNT - 2, 0, 0)
    reasons = {each.configuration_id: each.reason for each in rotation.unreadable}
    assert reasons.keys() == {under_lost.id, made[3].id, made[4].id}
    assert f"encrypted with key {lost.key_id}, which is not configured" in reasons[under_lost.id]
    assert "not an encrypted configuration" in reasons[made[3].id]
    assert "planted" not in str(reasons)
    assert {each.workspace for each in rotation.unreadable} == {"acme"}
    assert count_by_key(own) == {NEW.key_id: COUNT - 2, OLD.key_id: 1, lost.key_id: 1, None: 1}
    count, unreadable = unreadable_credentials(own, BOTH)
    assert (count, {each.configuration_id for each in unreadable}) == (COUNT + 1, set(reasons))
    found = reencrypt_all(own, Keyring(NEW, previous=(OLD, lost)))
    assert (found.reencrypted, len(found.unreadable)) == (1, 2)


def test_a_rotation_waits_for_nobody(own: Database, stored: tuple[Workspace, list[Configuration]]) -> None:
    """A configuration that somebody holds all the time is passed over, counted, and done by the next rotation."""
    _workspace, made = stored
    held = "SELECT FROM sync.workspace_payment_configurations WHERE id = :id FOR UPDATE"
    with own.control() as connection:
        connection.execute(text(held), {"id": made[8].id})
        rotation = reencrypt_all(own, BOTH)
    assert (rotation.reencrypted, rotation.busy, rotation.unreadable) == (COUNT - 1, 1, [])
    assert reencrypt_all(own, BOTH) == Rotation(reencrypted=1, already=COUNT - 1)
    audited = [each for each in list_audit_entries(own) if each.action == Action.CONFIGURATION_REENCRYPTED]
    assert audited[0].subject_id == str(made[8].id)


def test_a_rotation_is_no_change_of_the_configuration(
    own: Database, stored: tuple[Workspace, list[Configuration]]
) -> None:
    """It is no change of the workspace's, so that nothing says that the configuration was changed."""
    _workspace, made = stored
    when = text("SELECT max(updated_at) FROM sync.workspace_payment_configurations WHERE id = :id")
    with own.control() as connection:
        before = connection.execute(when, {"id": made[1].id}).scalar_one()
    reencrypt_all(own, BOTH)
    with own.control() as connection:
        assert connection.execute(when, {"id": made[1].id}).scalar_one() == before
