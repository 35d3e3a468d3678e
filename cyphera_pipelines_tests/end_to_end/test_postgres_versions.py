"""Every version of Postgres that is supported, with a login that is no superuser: from nothing to synced tables."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.orchestration.dagster_database import prepare_dagster_database
from cyphera_pipelines.orchestration.storage import PooledPostgresStorage
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import EncryptionKey
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.access.matrix import Role
from cyphera_pipelines.store.analysts import add_analyst
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import open_database, upgrade_database
from cyphera_pipelines.store.inspection import State, inspect_database
from cyphera_pipelines.store.migrations import head_revision
from cyphera_pipelines.store.retention import forget_old
from cyphera_pipelines.store.server import NEWEST_VERSION, OLDEST_VERSION
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines.sync.verification.verify import VerificationJob, verify
from cyphera_pipelines_tests.conftest import new_workspace
from cyphera_pipelines_tests.other_postgres import ALWAYS_THERE, FURTHER_FOLDERS, installations, other_server
from cyphera_pipelines_tests.store.test_access import attempt_everything
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

ACCOUNT = SandboxAccount(
    api_key="sk_test_versions",
    account_id="acct_versions",
    seed=21,
    customers=60,
    products=8,
    prices=24,
    subscriptions=40,
    invoices=80,
    long_invoice_share=0.1,
    large_subscription_share=0.1,
)
SOME = {"customers": 3, "products": 1, "prices": 3, "subscriptions": 4, "invoices": 5}


@pytest.mark.slow
@pytest.mark.parametrize("version", range(OLDEST_VERSION, NEWEST_VERSION + 1))
def test_a_server_of_one_s_own_is_set_up_synced_and_verified(
    version: int, tmp_path: Path, quick_folder: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = installations().get(version)
    if installation is None:
        assert version not in ALWAYS_THERE
        pytest.skip(f"This machine has no PostgreSQL {version}; name one in {FURTHER_FOLDERS}.")
    with other_server(installation, quick_folder) as server, SandboxServer([ACCOUNT]) as sandbox:
        server.run("CREATE ROLE app LOGIN CREATEDB CREATEROLE")
        settings = Settings(
            home=tmp_path,
            database_url=SecretStr(server.url("shop", "app")),
            encryption_key=SecretStr(EncryptionKey.generate().to_base64()),
        )
        monkeypatch.setenv("CYPHERA_PROVIDER_HOSTS", "127.0.0.1")
        keyring = load_keyring(settings)
        assert upgrade_database(settings) == (None, head_revision())
        assert upgrade_database(settings) == (head_revision(), head_revision())
        # Dagster's own tables too, in the database that the upgrade has made.
        url = prepare_dagster_database(settings).render_as_string(hide_password=False)
        assert PooledPostgresStorage(url).run_storage.get_runs() == []
        findings = inspect_database(settings, lambda: keyring)
        assert [each for each in findings if each.state is not State.OK or each.remedy] == []

        database = open_database(settings)
        workspace = new_workspace(database)
        credentials = Credentials(api_key=SecretStr(ACCOUNT.api_key), base_url=sandbox.url)
        create_configuration(database, keyring, workspace, "stripe", credentials, is_test_mode=True)
        source = find_source(database, f"{workspace.slug}:stripe")
        for request in (SyncRequest(), SyncRequest(only_changes=True), SyncRequest(full_sync=True)):
            outcome = run_sync(SyncJob(database, keyring, source, open_session(database, source, request), request))
            assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
            assert_tables_equal_truth(database, source, sandbox.state, ACCOUNT.account_id)
            sandbox.state.apply_changes(ACCOUNT.account_id, create=SOME, update=SOME, delete={"customers": 2})
        # What changed after the last sync does not count: the next one brings it.
        report = verify(VerificationJob(database, keyring, source, tuple(Entity), SyncProgress(Entity)))
        assert (report.is_complete, report.agrees) == (True, True)

        made, _password = add_analyst(database, workspace, "jane")
        analyst = create_engine(database.engine.url.set(username=made.role_name), poolclass=NullPool)
        with analyst.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM payments.customers")).scalar_one() > 0
        with database.tenant(workspace.id) as connection:
            attempt_everything(connection, Role.TENANT)
        forget_old(database, settings.retention(), within=60)
        database.close()
