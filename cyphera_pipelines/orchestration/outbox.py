"""Pending sessions that the API could not, or did not live to, get a run for.

From the request to the start of its run, measured on two cores with the default launcher (medians): 2.1 s where the API
submits it, of which starting the run's process takes 1.4; 15 s through the sensor alone, ten of them its patience.
"""

from dataclasses import dataclass, field

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunRequest, RunsFilter

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.runs import (
    SESSION_TAG,
    SOURCE_TAG,
    SOURCES_PARTITIONS,
    SYNC_JOB,
    VERIFICATION_JOB,
    WILL_RETRY_TAG,
)
from cyphera_pipelines.model.sessions import Session, SessionStatus, verification_in
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, tables_of
from cyphera_pipelines.orchestration.asset_specs import entity_asset_keys
from cyphera_pipelines.orchestration.backstop import end_session, end_session_of_run
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import PendingSession, claim_session, list_sessions_without_run

PENDING_FOR = 10.0
"""Seconds for which the API has the session to itself: longer than it waits for Dagster's answer."""

SESSIONS_PER_TICK = 50
"""A tick that asked for more runs than this would hold up the sensors behind it."""


@dataclass
class OutboxTick:
    """The runs to make, the partitions that they need, and how many sessions were dealt with otherwise."""

    runs: list[RunRequest] = field(default_factory=list)
    partitions: list[str] = field(default_factory=list)
    settled: int = 0


def look_into_outbox(database: Database, instance: DagsterInstance) -> OutboxTick:
    """See to every session that has been pending for a while and that no run is known for.

    Dagster may have a run for it all the same, of which the API was not told: then that is the session's run, or the
    session ends as that run did. A session whose configuration was removed fails.
    """
    tick = OutboxTick()
    for waiting in list_sessions_without_run(database, pending_for=PENDING_FOR, limit=SESSIONS_PER_TICK):
        session, key = waiting.session, waiting.source_key
        run = _run_of(instance, session)
        if run is not None and run.status is not DagsterRunStatus.NOT_STARTED:
            _settle(database, session, run)
            tick.settled += 1
        elif not waiting.has_source:
            _refuse(database, waiting)
            tick.settled += 1
        else:
            # A run that was made but never queued is found by Dagster under its key, and queued.
            tick.runs.append(run_request(session, key))
            if key not in tick.partitions and not instance.has_dynamic_partition(SOURCES_PARTITIONS, key):
                tick.partitions.append(key)
    return tick


def _run_of(instance: DagsterInstance, session: Session) -> DagsterRun | None:
    runs = instance.get_runs(RunsFilter(tags={SESSION_TAG: str(session.id)}), limit=1)
    return runs[0] if runs else None


def _settle(database: Database, session: Session, run: DagsterRun) -> None:
    if not run.is_finished or run.tags.get(WILL_RETRY_TAG) == "true":
        claim_session(database, session, run.run_id)
    elif run.status is DagsterRunStatus.CANCELED:
        end_session_of_run(database, run, SessionStatus.CANCELLED)
    else:
        end_session_of_run(database, run, SessionStatus.FAILED)


def _refuse(database: Database, waiting: PendingSession) -> None:
    reason = f"The configuration of {waiting.source_key} was removed before this sync began. Add one, then sync again."
    end_session(database, waiting.session, SessionStatus.FAILED, reason=reason, code=ErrorCode.SOURCE_REMOVED)


def run_request(session: Session, source_key: str) -> RunRequest:
    """The run that carries out a session: the same as the API would submit, under the same key."""
    tags = {SESSION_TAG: str(session.id), SOURCE_TAG: source_key}
    if verification_in(session.config) is not None:
        return RunRequest(run_key=str(session.id), partition_key=source_key, job_name=VERIFICATION_JOB, tags=tags)
    all_of_them = len(tables_of(session.entity_types)) == len(SYNCED_TABLES)
    return RunRequest(
        run_key=str(session.id),
        partition_key=source_key,
        job_name=SYNC_JOB,
        # All of them is the job itself: Dagster need not work out a part of it.
        asset_selection=None if all_of_them else entity_asset_keys(session.entity_types),
        tags=tags,
    )
