"""What the engine promises holds for every provider: each one's sandbox is synced, broken off, followed and verified.

The tests know nothing of a provider but how its sandbox makes, changes and deletes things: see `contract/subject.py`.
"""

from collections.abc import Callable, Iterator

import pytest

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import all_columns, entity_table
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.verification.repair import verify_and_repair
from cyphera_pipelines.sync.verification.report import VerificationReport
from cyphera_pipelines.sync.verification.verify import VerificationJob, verify
from cyphera_pipelines_tests.conftest import new_workspace
from cyphera_pipelines_tests.contract.subject import Subject
from cyphera_pipelines_tests.contract.subjects import SUBJECTS
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import live_rows

FAST = {"rate_limits": {"account": 5_000, "endpoint": 5_000}}
PAGE = 7
"""Objects: so that every list has many pages."""
Verify = Callable[..., VerificationReport]


@pytest.fixture(scope="module")
def running_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([]) as server:
        yield server


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest, running_sandbox: SandboxServer) -> Subject:
    running_sandbox.state.set_options(SandboxOptions())
    made: Subject = SUBJECTS[request.param](running_sandbox)
    return made


@pytest.fixture
def source(subject: Subject, database: Database, keyring: Keyring) -> Source:
    return connected(subject, database, keyring, subject.credentials)


def connected(subject: Subject, database: Database, keyring: Keyring, credentials: Credentials) -> Source:
    workspace, name = new_workspace(database), subject.provider.name
    create_configuration(database, keyring, workspace, name, credentials, is_test_mode=True, metadata=FAST)
    return find_source(database, f"{workspace.slug}:{name}")


@pytest.fixture
def verify_now(source: Source, database: Database, keyring: Keyring) -> Verify:
    def run(*, repair: bool = False) -> VerificationReport:
        entities = tuple(Entity)
        job = VerificationJob(database, keyring, source, entities, SyncProgress(entities))
        return verify_and_repair(job) if repair else verify(job)

    return run


def differing(subject: Subject, database: Database, source: Source) -> dict[Entity, set[str]]:
    """The ids that only the tables have, or only the provider."""
    found = {entity: set(live_rows(database, source, entity.value)) ^ subject.ids(entity) for entity in Entity}
    return {entity: ids for entity, ids in found.items() if ids}


def test_everything_is_listed_once_and_a_second_time_changes_nothing(
    subject: Subject, source: Source, sync_now: RunSync, database: Database
) -> None:
    assert sync_now(source, batch_size=PAGE).status is SessionStatus.COMPLETED
    assert differing(subject, database, source) == {}
    again = sync_now(source, full_sync=True)
    assert {(counts.created, counts.updated, counts.deleted) for counts in again.entities.values()} == {(0, 0, 0)}


@pytest.mark.parametrize("requests", [4, 15, 40])
def test_a_listing_that_is_broken_off_is_gone_on_with(
    requests: int, subject: Subject, source: Source, sync_now: RunSync, database: Database
) -> None:
    """After so many requests the key is rejected, wherever each entity stands then. Meanwhile something goes."""
    revoked = Fault.model_validate({"kind": FaultKind.UNAUTHORIZED, "path": subject.paths, "after": requests})
    subject.sandbox.state.set_options(SandboxOptions(faults=(revoked,)))
    assert sync_now(source, batch_size=PAGE).status is SessionStatus.FAILED
    subject.sandbox.state.set_options(SandboxOptions())
    gone = subject.delete(Entity.CUSTOMERS)
    assert sync_now(source, batch_size=PAGE).status is SessionStatus.COMPLETED
    assert gone not in live_rows(database, source, "customers")
    assert differing(subject, database, source) == {}


def test_changes_are_followed_whatever_passes(
    subject: Subject, source: Source, sync_now: RunSync, database: Database
) -> None:
    sync_now(source)
    for entity in Entity:
        subject.create(entity)
        subject.update(entity)
    for entity in (Entity.CUSTOMERS, Entity.INVOICES):
        subject.delete(entity)
    faults = [
        Fault.model_validate({"kind": kind, "path": subject.paths, "retry_after": 0.0, "every": 4})
        for kind in (FaultKind.ERROR_502, FaultKind.DROP, FaultKind.RATE_LIMIT)
    ]
    subject.sandbox.state.set_options(SandboxOptions(faults=tuple(faults)))
    outcome = sync_now(source, only_changes=True)
    assert outcome.status is SessionStatus.COMPLETED
    assert differing(subject, database, source) == {}


def test_what_no_change_told_is_found_by_a_verification_and_by_a_listing(
    subject: Subject, source: Source, sync_now: RunSync, verify_now: Verify, database: Database
) -> None:
    sync_now(source)
    assert verify_now().agrees
    rows = {entity: sorted(live_rows(database, source, entity.value)) for entity in Entity}
    hide(database, source, rows)
    report = verify_now()
    assert not report.agrees
    assert report.is_complete
    assert verify_now(repair=True).is_complete
    assert differing(subject, database, source) == {}
    hide(database, source, rows)
    sync_now(source, full_sync=True)
    assert differing(subject, database, source) == {}


def hide(database: Database, source: Source, rows: dict[Entity, list[str]]) -> None:
    """Give each table a row whose object never was, as one whose end nobody told."""
    with database.tenant(source.workspace_id) as connection:
        for entity, ids in rows.items():
            columns = [name for name, _, _ in all_columns(entity_table(entity)) if name != "id"]
            listed = ", ".join(columns)
            connection.exec_driver_sql(
                f"INSERT INTO payments.{entity.value} (id, {listed}) "
                f"SELECT 'gone_' || id, {listed} FROM payments.{entity.value} WHERE id = %s ON CONFLICT DO NOTHING",
                (ids[0],),
            )
            connection.exec_driver_sql(
                f"UPDATE payments.{entity.value} SET deleted_at = NULL, source_version = '2020-01-01' WHERE id = %s",
                (f"gone_{ids[0]}",),
            )
