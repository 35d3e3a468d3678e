"""Batch runs: what they sync, and what Dagster shows of it; of sources at rest nothing at all."""

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from logging import getLogger
from uuid import uuid4

import pytest
from dagster import AssetKey, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunRequest, RunsFilter
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from dagster._core.storage.tags import MAX_RETRIES_TAG, PRIORITY_TAG
from dagster._daemon.monitoring.run_monitoring import check_run_timeout
from sqlalchemy import text

from cyphera_pipelines.definitions import definitions
from cyphera_pipelines.model.runs import BATCH_JOB, BATCH_RUN_TAG, BATCH_UNTIL_TAG, SOURCE_TAG
from cyphera_pipelines.model.sessions import Session, SessionStatus, SessionType, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.orchestration.batches import end_dead_batches
from cyphera_pipelines.orchestration.partitions import payment_sources
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.claims import WORKER_NAME, ClaimWalk, claim_due, release_claims
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.schedules import read_schedule
from cyphera_pipelines.store.sessions import SourceActiveError, finish_session, list_sessions
from cyphera_pipelines.sync.batch import Batch, BatchCounts, BatchOptions
from cyphera_pipelines.sync.request import open_only_session
from cyphera_pipelines_tests.due_sources import make_due, put_aside, set_row
from cyphera_pipelines_tests.orchestration.conftest import Tenant, evaluate
from cyphera_pipelines_tests.receiver import wait_for

WAYS = ("rejected", "failing", "refused", "forbidden", "unmappable")


@pytest.fixture(autouse=True)
def only_ours(database: Database) -> Iterator[None]:
    put_aside(database)
    yield
    put_aside(database)


def run_batch(instance: DagsterInstance, **config: float) -> DagsterRun:
    """One batch run until nothing is due, however long a busy machine takes."""
    result = definitions.resolve_job_def(BATCH_JOB).execute_in_process(
        instance=instance,
        run_config={
            "ops": {"take_due_sources": {"config": {"seconds": 3_600.0, "longest_pause": 0.0, **config}}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        raise_on_error=False,
    )
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status is DagsterRunStatus.SUCCESS
    return run


def materialized(instance: DagsterInstance, run: DagsterRun) -> set[tuple[str, str]]:
    """The tables and partitions that the run materialised."""
    found = set()
    for entry in instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION):
        assert entry.asset_materialization is not None
        found.add((entry.asset_materialization.asset_key.path[-1], str(entry.asset_materialization.partition)))
    return found


def statuses(instance: DagsterInstance, table: str) -> tuple[set[str], set[str], set[str]]:
    """The partitions of the table's asset that Dagster shows as materialised, failed and in progress."""
    value = get_and_update_asset_status_cache_value(instance, AssetKey(["payments", table]), payment_sources)
    if value is None:
        return set(), set(), set()
    shown = (
        value.deserialize_materialized_partition_subsets(payment_sources),
        value.deserialize_failed_partition_subsets(payment_sources),
        value.deserialize_in_progress_partition_subsets(payment_sources),
    )
    good, failed, going_on = (set(subset.get_partition_keys()) for subset in shown)
    return good - failed, failed, going_on


def failures_of(instance: DagsterInstance, source: Source) -> list[DagsterRun]:
    runs = instance.get_runs(RunsFilter(tags={SOURCE_TAG: source.key}))
    return [run for run in runs if BATCH_RUN_TAG in run.tags]


def rows_of_dagster(instance: DagsterInstance, key: str) -> int:
    """How many rows in Dagster's storage name the source."""
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        found = connection.execute(
            text(
                "SELECT (SELECT count(*) FROM event_logs WHERE strpos(event, :key) > 0) "
                "+ (SELECT count(*) FROM run_tags WHERE value = :key)"
            ),
            {"key": key},
        )
        return int(found.scalar_one())


def test_what_is_due_is_listed_then_looked_at_and_its_changes_applied(
    instance: DagsterInstance, database: Database, add_tenant: Callable[..., Tenant], sandbox: SandboxServer
) -> None:
    tenant = add_tenant(customers=4)
    source = make_due(database, tenant.source)
    first = run_batch(instance)
    (session,) = list_sessions(database, source.workspace_id)
    assert (session.status, session.session_type) == (SessionStatus.COMPLETED, SessionType.INITIAL_SYNC)
    assert session.dagster_run_id == first.run_id
    shown = materialized(instance, first)
    assert {key for _, key in shown} == {source.key}
    assert {"customers", "invoices", "invoice_line_items"} <= {table for table, _ in shown}
    assert float(first.tags[BATCH_UNTIL_TAG]) > 0
    schedule = read_schedule(database, source.workspace_id, "stripe")
    assert schedule is not None
    assert schedule.fresh_at is not None
    assert schedule.due_at > schedule.fresh_at

    # At rest: looked at, and nothing else.
    rows = rows_of_dagster(instance, source.key)
    for _ in range(2):
        make_due(database, source)
        assert materialized(instance, run_batch(instance)) == set()
    assert len(list_sessions(database, source.workspace_id)) == 1
    assert rows_of_dagster(instance, source.key) == rows
    later = read_schedule(database, source.workspace_id, "stripe")
    assert later is not None
    assert later.fresh_at is not None
    assert later.fresh_at > schedule.fresh_at
    assert later.due_at > later.fresh_at

    # A customer changes: its table alone is materialised, on this partition.
    sandbox.state.apply_changes(tenant.account.account_id, update={"customers": 1})
    make_due(database, source)
    assert materialized(instance, run_batch(instance)) == {("customers", source.key)}
    newest = list_sessions(database, source.workspace_id)[0]
    assert (newest.status, newest.session_type) == (SessionStatus.COMPLETED, SessionType.DELTA_SYNC)
    assert source.key in statuses(instance, "customers")[0]

    # What was applied is known: the next look finds nothing, though the provider still tells of it.
    make_due(database, source)
    assert materialized(instance, run_batch(instance)) == set()
    assert len(list_sessions(database, source.workspace_id)) == 2


@pytest.mark.parametrize(
    ("sources", "of_each"),
    # One batch lists a source at a time, two hundred here.
    [(2, 1), pytest.param(190, 2, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
    ids=["few", "two_hundred"],
)
def test_of_many_sources_exactly_those_in_trouble_show_it(
    instance: DagsterInstance,
    database: Database,
    add_tenant: Callable[..., Tenant],
    add_source: Callable[..., Source],
    sandbox: SandboxServer,
    sources: int,
    of_each: int,
) -> None:
    """Five ways to fail, in the middle of sources that are at rest or change; then all is well again."""
    good = [add_tenant(customers=2, invoices=2) for _ in range(sources)]
    troubled = {way: [add_tenant(customers=2, invoices=2) for _ in range(of_each)] for way in WAYS}
    with SandboxServer([]) as other:
        for tenant in troubled["refused"]:
            other.state.put_account(tenant.account)
            tenant_at = Tenant(add_source(tenant.account.api_key, other.url), tenant.account)
            troubled["refused"][troubled["refused"].index(tenant)] = tenant_at
        all_of_them = [*good, *itertools.chain.from_iterable(troubled.values())]
        for tenant in all_of_them:
            make_due(database, tenant.source)
        run_batch(instance)
        for tenant in all_of_them:
            (session,) = list_sessions(database, tenant.source.workspace_id)
            assert session.status is SessionStatus.COMPLETED
    faults = [
        Fault(kind=FaultKind.UNAUTHORIZED, account_id=tenant.account.account_id) for tenant in troubled["rejected"]
    ]
    faults += [Fault(kind=FaultKind.ERROR_500, account_id=tenant.account.account_id) for tenant in troubled["failing"]]
    faults += [
        Fault(kind=FaultKind.FORBIDDEN, path="/v1/prices*", account_id=tenant.account.account_id)
        for tenant in troubled["forbidden"]
    ]
    for tenant in troubled["forbidden"]:
        sandbox.state.apply_changes(tenant.account.account_id, create={"prices": 1})
    for tenant in troubled["unmappable"]:
        customer = next(iter(sandbox.state.truth(tenant.account.account_id, "customers")))["id"]
        sandbox.state.patch(tenant.account.account_id, customer, {"created": "never"})
    changed, at_rest = good[::2], good[1::2]
    for tenant in changed:
        sandbox.state.apply_changes(tenant.account.account_id, update={"customers": 1})
    for tenant in all_of_them:
        make_due(database, tenant.source)
    sandbox.state.change_options(SandboxOptions(faults=tuple(faults)))
    try:
        batch = run_batch(instance)
    finally:
        sandbox.state.change_options(SandboxOptions())

    shown = materialized(instance, batch)
    assert {key for _, key in shown} >= {tenant.source.key for tenant in changed}
    for tenant in at_rest:
        assert len(list_sessions(database, tenant.source.workspace_id)) == 1
    expected = {
        "rejected": ("failed", "customers", "Check the key"),
        "failing": ("failed", "customers", "500"),
        "refused": ("failed", "customers", "refuses connections"),
        "forbidden": ("partial", "prices", "prices"),
        "unmappable": ("partial", "customers", "could not be loaded"),
    }
    for way, (status, table, words) in expected.items():
        for tenant in troubled[way]:
            session = list_sessions(database, tenant.source.workspace_id)[0]
            assert session.status.value == status, (way, session.error_summary)
            (run,) = failures_of(instance, tenant.source)
            assert run.status is DagsterRunStatus.FAILURE
            told = " ".join(entry.message for entry in instance.all_logs(run.run_id))
            assert words in told, (way, told)
            assert tenant.source.key in statuses(instance, table)[1], way
    in_trouble = {tenant.source.key for tenants in troubled.values() for tenant in tenants}
    for table in ("customers", "prices", "invoices"):
        _, failed, going_on = statuses(instance, table)
        assert {tenant.source.key for tenant in good} & (failed | going_on) == set()
    rejected = read_schedule(database, troubled["rejected"][0].source.workspace_id, "stripe")
    assert rejected is not None
    assert rejected.pause is not None
    failing = read_schedule(database, troubled["failing"][0].source.workspace_id, "stripe")
    assert failing is not None
    assert failing.pause is None
    assert failing.failures == 1
    for tenant in good:
        assert failures_of(instance, tenant.source) == []

    # The trouble is over: what showed as failed shows as good again, changed or not.
    over = [tenant for way in ("failing", "forbidden") for tenant in troubled[way]]
    for tenant in over:
        make_due(database, tenant.source)
    run_batch(instance)
    for tenant in over:
        assert list_sessions(database, tenant.source.workspace_id)[0].status is SessionStatus.COMPLETED
        for table in ("customers", "prices"):
            assert tenant.source.key in statuses(instance, table)[0]
    assert in_trouble


def begin_batch(instance: DagsterInstance, status: DagsterRunStatus, until: float | None = None) -> DagsterRun:
    """A batch run whose process nobody sees."""
    tags = {} if until is None else {BATCH_UNTIL_TAG: f"{until:.0f}"}
    return instance.create_run_for_job(definitions.resolve_job_def(BATCH_JOB), tags=tags, status=status)


def requests(instance: DagsterInstance) -> list[RunRequest]:
    return list(evaluate(instance, "due_sources").run_requests or [])


def test_batches_are_started_only_where_something_is_due_and_too_few_take_it(
    instance: DagsterInstance, database: Database, add_tenant: Callable[..., Tenant]
) -> None:
    assert requests(instance) == []
    source = make_due(database, add_tenant(customers=1).source, seconds=1)
    (request,) = requests(instance)
    assert (request.tags[PRIORITY_TAG], request.tags[MAX_RETRIES_TAG]) == ("-1", "0")
    now = time.time()
    begun = [begin_batch(instance, DagsterRunStatus.STARTED, now + 300)]
    try:
        assert requests(instance) == []
        make_due(database, source, seconds=31)
        assert len(requests(instance)) == 1
        begun.append(begin_batch(instance, DagsterRunStatus.STARTED, now + 300))
        assert requests(instance) == []
        # Both are there for Dagster, and nobody was heard of for a minute.
        make_due(database, source, seconds=61)
        assert len(requests(instance)) == 1
        # One whose time is up counts no more; with nothing left to do it is ended.
        instance.add_run_tags(begun[0].run_id, {BATCH_UNTIL_TAG: f"{now - 300:.0f}"})
        make_due(database, source, seconds=31)
        assert len(requests(instance)) == 1
        assert end_dead_batches(database, instance) == [begun[0].run_id]
    finally:
        for run in begun:
            instance.delete_run(run.run_id)


def running_session(database: Database, source: Source) -> Session | None:
    sessions = list_sessions(database, source.workspace_id)
    return next((session for session in sessions if session.status is SessionStatus.RUNNING), None)


@pytest.mark.parametrize("is_ended_by_the_daemon", [True, False], ids=["exceeded_its_maximum_runtime", "terminated"])
def test_a_batch_that_dagster_ends_gives_back_what_it_was_at(
    is_ended_by_the_daemon: bool,
    instance: DagsterInstance,
    database: Database,
    add_tenant: Callable[..., Tenant],
    sandbox: SandboxServer,
) -> None:
    """Its process hears of it though no signal reaches it, and the next batch goes on."""
    tenant = add_tenant(customers=4)
    source, waiting = make_due(database, tenant.source, seconds=20), make_due(database, add_tenant().source)
    stalls = Fault(kind=FaultKind.STALL, path="/v1/invoices*", account_id=tenant.account.account_id)
    sandbox.state.change_options(SandboxOptions(faults=(stalls,)))
    run = instance.create_run_for_job(
        definitions.resolve_job_def(BATCH_JOB),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    try:
        with ThreadPoolExecutor(1) as batch:
            result = batch.submit(execute_run_of_batch, run)
            wait_for(lambda: running_session(database, source), within=120)
            record = instance.get_run_record_by_id(run.run_id)
            assert record is not None
            if is_ended_by_the_daemon:
                # As the daemon does it, which cannot reach the process either.
                check_run_timeout(instance, record, getLogger(__name__), default_timeout_seconds=1e-6)
            else:
                instance.report_run_canceling(record.dagster_run)
            result.result(120)
    finally:
        sandbox.state.change_options(SandboxOptions())
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is (DagsterRunStatus.FAILURE if is_ended_by_the_daemon else DagsterRunStatus.CANCELED)
    (session,) = list_sessions(database, source.workspace_id)
    assert session.status is SessionStatus.CANCELLED
    assert session.error_summary is not None
    assert session.error_summary["reason"] == "The batch that made this sync was stopped."
    assert failures_of(instance, source) == []
    schedule = read_schedule(database, source.workspace_id, "stripe")
    assert schedule is not None
    assert (schedule.failures, schedule.last_failure) == (0, None)
    run_batch(instance)
    for each in (source, waiting):
        assert list_sessions(database, each.workspace_id)[0].status is SessionStatus.COMPLETED


def execute_run_of_batch(run: DagsterRun) -> None:
    """In this thread, with connections of its own, as the process of a run does."""
    with DagsterInstance.get() as own:
        execute_run(InMemoryJob(definitions.resolve_job_def(BATCH_JOB)), run, own)


def test_a_sync_that_somebody_asks_for_goes_before_a_look_at_its_source(
    database: Database, add_tenant: Callable[..., Tenant]
) -> None:
    source = make_due(database, add_tenant(customers=1).source)
    (claim,) = claim_due(database, uuid4(), limit=10, per_workspace=8, walk=ClaimWalk())
    session = open_only_session(database, source, SyncRequest())
    assert session.status is SessionStatus.PENDING
    with pytest.raises(SourceActiveError):
        open_only_session(database, source, SyncRequest(only_changes=True))
    release_claims(database, [claim])
    assert claim_due(database, uuid4(), limit=10, per_workspace=8, walk=ClaimWalk()) == []
    finish_session(database, session, SessionStatus.FAILED)
    set_row(database, source, due_at="now()")
    assert len(claim_due(database, uuid4(), limit=10, per_workspace=8, walk=ClaimWalk())) == 1


def test_two_batches_at_once_sync_each_source_once(
    instance: DagsterInstance,
    settings: Settings,
    database: Database,
    keyring: Keyring,
    add_tenant: Callable[..., Tenant],
) -> None:
    sources = [make_due(database, add_tenant(customers=2).source) for _ in range(6)]

    def run(_number: int) -> BatchCounts:
        worker = uuid4()
        own = open_database(settings, application_name=f"{WORKER_NAME} {worker}", pool_size=8)
        try:
            return Batch(own, keyring, worker, BatchOptions(longest_pause=0.0, per_workspace=2)).run()
        finally:
            own.close()

    with ThreadPoolExecutor(2) as batches:
        counts = list(batches.map(run, range(2)))
    assert sum(each.completed for each in counts) == len(sources)
    for source in sources:
        (session,) = list_sessions(database, source.workspace_id)
        assert session.status is SessionStatus.COMPLETED
