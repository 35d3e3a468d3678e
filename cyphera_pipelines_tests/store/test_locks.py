"""Locks against somebody who may log in to the database, and nothing else."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.orchestration.dagster_database import alone
from cyphera_pipelines.store import locks, migrations
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.locks import SourceBusyError, is_being_synced, source_lock
from cyphera_pipelines.sync.request import open_only_session
from cyphera_pipelines_tests.api.conftest import until

HELD = text(
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture
def stranger(database: Database) -> Iterator[Engine]:
    """Connections of a login role that was granted nothing."""
    name = f"stranger_{uuid4().hex}"
    with database.control() as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN"))
    yield create_engine(
        database.engine.url.set(username=name, password=None), isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    with database.control() as connection:
        connection.execute(text(f"DROP ROLE {name}"))


def take_all_that_are_held(connection: Connection) -> None:
    """Wait in line for every advisory lock that anybody holds: the numbers are for all to see."""
    for number in connection.execute(HELD).scalars().all():
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": number})


def test_a_stranger_who_waits_for_a_source_s_lock_gets_one_that_is_of_no_use(
    database: Database, stranger: Engine, add_source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "ENDING_PATIENCE_SECONDS", 1.0)
    source = add_source("sk_test_locked_by_stranger")
    with stranger.connect() as theirs, ThreadPoolExecutor(1) as threads:
        with source_lock(database, source):
            assert is_being_synced(database, source.workspace_id, source.provider)
            waits = threads.submit(take_all_that_are_held, theirs)
            until(lambda: _waiting(database))
            with pytest.raises(SourceBusyError), source_lock(database, source):
                pass
        waits.result()
        assert not is_being_synced(database, source.workspace_id, source.provider), "a stranger syncs nothing"
        with source_lock(database, source):
            assert is_being_synced(database, source.workspace_id, source.provider)
            with pytest.raises(SourceBusyError), source_lock(database, source):
                pass
        with source_lock(database, source):
            pass


def _waiting(database: Database) -> bool:
    with database.control() as connection:
        waiting = text("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")
        return bool(connection.execute(waiting).scalar_one())


def test_two_never_hold_a_source_s_lock_whatever_strangers_do(
    database: Database, stranger: Engine, add_source: Callable[..., Source]
) -> None:
    source, is_over = add_source("sk_test_contended"), threading.Event()
    at_work: list[int] = []
    overlaps: list[int] = []

    def sync(turns: int) -> None:
        for _ in range(turns):
            try:
                with source_lock(database, source):
                    at_work.append(1)
                    overlaps.append(len(at_work))
                    at_work.pop()
            except SourceBusyError:
                continue

    def disturb() -> None:
        with stranger.connect() as theirs:
            while not is_over.is_set():
                for number in theirs.execute(HELD).scalars().all():
                    theirs.execute(text("SELECT pg_try_advisory_lock_shared(:number)"), {"number": number})
                theirs.execute(text("SELECT pg_advisory_unlock_all()"))

    with ThreadPoolExecutor(5) as threads:
        strangers = [threads.submit(disturb) for _ in range(2)]
        for each in [threads.submit(sync, 15) for _ in range(3)]:
            each.result()
        is_over.set()
        for disturbing in strangers:
            disturbing.result()
    assert set(overlaps) == {1}


def test_strangers_see_no_number_and_lock_no_table(
    database: Database, stranger: Engine, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_secret_number")
    with source_lock(database, source):
        pass
    for statement in ("SELECT number FROM sync.source_locks", "LOCK TABLE sync.schema_version IN ACCESS SHARE MODE"):
        with pytest.raises(ProgrammingError, match="permission denied"), stranger.connect() as theirs:
            theirs.execute(text(f"BEGIN; {statement}"))


def test_sessions_and_upgrades_wait_for_no_stranger(
    database: Database, stranger: Engine, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_no_turn")
    with stranger.connect() as theirs:
        session_turn = f"session of {source.workspace_id} {source.provider}"
        for number in ("7305902113", "7305902114", f"hashtextextended('{session_turn}', 0)"):
            theirs.execute(text(f"SELECT pg_advisory_lock({number})"))
        open_only_session(database, source, SyncRequest())
        assert migrations.upgrade(database.engine)[1] == migrations.head_revision()
        with alone(database.engine.url.render_as_string(hide_password=False)):
            pass
