"""Running the job for one source in this very process: what `cyphera sync` does."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import MAX_RETRIES_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from sqlalchemy.exc import SQLAlchemyError

from cyphera_pipelines.model.runs import CODE_LOCATION, PARTITION_TAG, RUN_KEY_TAG, SESSION_TAG, SOURCE_TAG
from cyphera_pipelines.model.sessions import Session, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.orchestration.asset_specs import entity_asset_keys
from cyphera_pipelines.orchestration.assets import run_config_of
from cyphera_pipelines.orchestration.backstop import end_session_of_run
from cyphera_pipelines.orchestration.interruptible import run_interruptibly
from cyphera_pipelines.orchestration.jobs import sync_source
from cyphera_pipelines.orchestration.partitions import update_partitions
from cyphera_pipelines.orchestration.resources import runs_use
from cyphera_pipelines.orchestration.run_record import recording_while_possible
from cyphera_pipelines.orchestration.run_sessions import cancel_session
from cyphera_pipelines.orchestration.storage import keep_to_one_connection
from cyphera_pipelines.store.database import Database


def run_source_sync(
    database: Database,
    source: Source,
    session: Session,
    request: SyncRequest,
    *,
    on_wait: Callable[[], None] = lambda: None,
) -> str:
    """Carry out the session in a run of the job `sync_source` in this process, and return the run's id.

    How it ended is told by the session; nothing is raised for a sync that failed. `on_wait` is called about five times
    a second while the run goes on. An interruption (Ctrl-C) ends the session as cancelled, waits for the engine to
    stop between two pages, and is raised again. Raises RunRecordLostError, with what the engine says, if the database
    is lost on the way. The run bears the id that the session names, if it names one. DAGSTER_HOME must be set.
    """
    with (
        runs_use(database),
        _one_instance() as instance,
        recording_while_possible(instance),
        _leaving_no_run_behind(instance, session),
    ):
        # After Dagster's: a process that waits holds that one only.
        database.take_connections_of_sync()
        update_partitions(database, instance)
        job = sync_source_job()
        run = create_run(
            instance,
            job,
            source,
            session,
            request,
            entity_asset_keys(request.entities),
            # The session has no run yet: it names the one that is to be made.
            run_id=session.dagster_run_id,
            # It carries out this session or none: one that is cancelled before the run begins is not made up for.
            tags={RUN_KEY_TAG: str(session.id)},
        )
        run_interruptibly(
            lambda: execute_run(job, run, instance, raise_on_error=False),
            on_interrupt=lambda: _cancel(database, instance, session, run),
            on_wait=on_wait,
        )
        # Mostly it has ended; not if the run failed before its first step.
        end_session_of_run(database, run, SessionStatus.FAILED)
        return run.run_id


@contextmanager
def _one_instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.get() as instance:
        keep_to_one_connection(instance)
        yield instance


@contextmanager
def _leaving_no_run_behind(instance: DagsterInstance, session: Session) -> Iterator[None]:
    """End the session's run if an interruption comes before it has begun: Dagster would show it as waiting for ever."""
    try:
        yield
    except KeyboardInterrupt:
        with suppress(SQLAlchemyError):
            run = instance.get_run_by_id(session.dagster_run_id) if session.dagster_run_id else None
            if run is not None and run.status is DagsterRunStatus.NOT_STARTED:
                instance.report_run_canceled(run, message="The sync was interrupted before it began.")
        raise


def sync_source_job() -> ReconstructableJob:
    """The job `sync_source`, loaded by name as Dagster's own workers do: the definitions stand above this layer."""
    return ReconstructableRepository.for_module(CODE_LOCATION, "definitions").get_reconstructable_job(sync_source.name)


def create_run(
    instance: DagsterInstance,
    job: ReconstructableJob,
    source: Source,
    session: Session,
    request: SyncRequest,
    assets: Iterable[AssetKey],
    *,
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> DagsterRun:
    """Create a run for the session as the code location's own, so that it is listed and can be started again there.

    Nothing of it is launched.
    """
    target = LoadableTargetOrigin(module_name=CODE_LOCATION)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, CODE_LOCATION)
    repository = RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME)
    return instance.create_run_for_job(
        job.get_definition(),
        run_id=run_id,
        # The caller tells its user what happens.
        run_config=run_config_of(request) | {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        # Whoever started it here decides whether to start it again: the daemon does not.
        tags={
            PARTITION_TAG: source.key,
            SOURCE_TAG: source.key,
            SESSION_TAG: str(session.id),
            MAX_RETRIES_TAG: "0",
            **(tags or {}),
        },
        asset_selection=frozenset(assets),
        remote_job_origin=RemoteJobOrigin(repository, job.job_name),
        job_code_origin=job.get_python_origin(),
    )


def _cancel(database: Database, instance: DagsterInstance, session: Session, run: DagsterRun) -> None:
    instance.report_run_canceling(run)
    cancel_session(database, session, "The sync was interrupted.")
