"""More runs at once than Postgres has connections for, in processes of their own: each waits for its turn."""

import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import pytest
from pydantic import SecretStr

from cyphera_pipelines import local
from cyphera_pipelines.connection_budget import SYNC_PROCESS
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxProcess
from cyphera_pipelines.security.encryption import EncryptionKey
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import open_database, upgrade_database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.workspaces import create_workspace
from cyphera_pipelines_tests.cli.command import Cyphera
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

SYNCS = 10
PLACES = 6 * SYNC_PROCESS
LOOK_EVERY = 0.05
DEADLINE_SECONDS = 300.0
ROLE = "cyphera_app"
ACCOUNTS = [
    SandboxAccount(
        api_key=f"sk_test_at_once_{number}",
        account_id=f"acct_at_once_{number}",
        seed=number,
        customers=200,
        products=10,
        prices=20,
        subscriptions=100,
        invoices=300,
    )
    for number in range(SYNCS)
]


_BACKENDS = (
    "SELECT application_name, datname, pid, state, now() - backend_start, now() - state_change, wait_event, query "
    "FROM pg_stat_activity WHERE usename = %s ORDER BY application_name"
)


@dataclass
class Watch:
    """The most connections of any process, and of all together, by the process id at the end of their names."""

    url: str
    most_of_one: Counter[str] = field(default_factory=Counter)
    most_of_all: int = 0
    too_many: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        while not self._stop.wait(LOOK_EVERY):
            with connection.cursor() as cursor:
                cursor.execute(_BACKENDS, [ROLE])
                backends = cursor.fetchall()
            names = [backend[0] for backend in backends]
            now = Counter(name.rpartition(" ")[2] for name in names if name)  # they get it when they are made
            if not self.too_many and now and max(now.values()) > SYNC_PROCESS:
                fullest = max(now, key=now.__getitem__)
                self.too_many = ["  ".join(map(str, row)) for row in backends if row[0].endswith(f" {fullest}")]
            self.most_of_one |= now
            self.most_of_all = max(self.most_of_all, len(names))
        connection.close()


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(ACCOUNTS, SandboxOptions(latency_ms=300)) as running:
        yield running


@pytest.fixture
def own_server(quick_folder: Path | None) -> Iterator[tuple[Cyphera, str]]:
    """A server that gives our role few connections, and the command that is told to use it."""
    with tempfile.TemporaryDirectory(prefix="atonce", dir=quick_folder) as folder:
        home = Path(folder) / "home"
        handle = local.start(home)
        connection = psycopg2.connect(handle.psql_url())
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {ROLE} LOGIN CREATEROLE CREATEDB CONNECTION LIMIT {PLACES}")
            for database in ("own", "own_dagster"):
                cursor.execute(f"CREATE DATABASE {database} OWNER {ROLE}")
        connection.close()
        addresses = {
            name: handle.psql_url(database).replace("postgres@", f"{ROLE}@")
            for name, database in (("CYPHERA_DATABASE_URL", "own"), ("CYPHERA_DAGSTER_DATABASE_URL", "own_dagster"))
        }
        key = EncryptionKey.generate().to_base64()
        yield Cyphera(home, PAYMENT_SYNC_ENCRYPTION_KEY=key, **addresses), handle.psql_url()
        handle.release()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_slow_syncs_have_four_connections_each_and_wait_where_there_are_no_more(
    own_server: tuple[Cyphera, str], sandbox: SandboxProcess
) -> None:
    cyphera, watched_through = own_server
    settings = Settings(
        home=cyphera.home,
        database_url=SecretStr(cyphera.environment["CYPHERA_DATABASE_URL"]),
        dagster_database_url=SecretStr(cyphera.environment["CYPHERA_DAGSTER_DATABASE_URL"]),
        encryption_key=SecretStr(cyphera.environment["PAYMENT_SYNC_ENCRYPTION_KEY"]),
    )
    upgrade_database(settings)
    database, keyring = open_database(settings), load_keyring(settings)
    sources = []
    for account in ACCOUNTS:
        workspace = create_workspace(database, account.account_id.replace("_", "-"))
        credentials = Credentials(api_key=SecretStr(account.api_key), base_url=sandbox.url)
        create_configuration(database, keyring, workspace, "stripe", credentials, is_test_mode=True)
        sources.append(find_source(database, f"{workspace.slug}:stripe"))
    database.close()
    assert "this installation may need" in cyphera("db", "connections", CYPHERA_PROVIDER_HOSTS="127.0.0.1").err

    with Watch(watched_through) as watch:
        syncs = [
            cyphera.start("sync", source.workspace_slug, "stripe", environment={"CYPHERA_PROVIDER_HOSTS": "127.0.0.1"})
            for source in sources
        ]
        ended = [(sync.communicate(timeout=DEADLINE_SECONDS), sync.returncode) for sync in syncs]
    assert [output for output, code in ended if code] == []
    assert not watch.too_many, "\n".join(watch.too_many)
    own = watch.most_of_one.pop(str(os.getpid()), 0)
    assert own <= SYNC_PROCESS
    assert len(watch.most_of_one) == SYNCS
    assert max(watch.most_of_one.values()) == SYNC_PROCESS
    assert watch.most_of_all <= PLACES

    waited = 0
    for source, account in zip(sources, ACCOUNTS, strict=True):
        (session,) = list_sessions(database, source.workspace_id)
        assert session.status is SessionStatus.COMPLETED
        kinds = {event.event_type for event in list_events(database, source.workspace_id, session.id)}
        waited += "connection_waited_for" in kinds
        assert_tables_equal_truth(database, source, sandbox, account.account_id)
    assert waited > 0
    database.close()
