"""Sensors: partitions that follow the sources, and sessions that begin and end with their runs."""

from dagster import (
    AddDynamicPartitionsRequest,
    DagsterEventType,
    DagsterRunStatus,
    DefaultSensorStatus,
    DeleteDynamicPartitionsRequest,
    RunFailureSensorContext,
    RunRequest,
    RunStatusSensorContext,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    run_failure_sensor,
    run_status_sensor,
    sensor,
)
from sqlalchemy.exc import SQLAlchemyError

from cyphera_pipelines.alerts.looking import look
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.runs import OUTBOX_SENSOR
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.operations.settling import settle_overdue
from cyphera_pipelines.orchestration import partitions
from cyphera_pipelines.orchestration.backstop import (
    end_runs_of_ended_sessions,
    end_session_of_run,
    end_vanished_sessions,
)
from cyphera_pipelines.orchestration.batches import end_dead_batches, look_at_backlog, sync_due_sources
from cyphera_pipelines.orchestration.failures import error_code_in
from cyphera_pipelines.orchestration.jobs import sync_source
from cyphera_pipelines.orchestration.outbox import look_into_outbox
from cyphera_pipelines.orchestration.purging import carry_out_purge
from cyphera_pipelines.orchestration.resources import DatabaseResource, KeyringResource
from cyphera_pipelines.orchestration.verification import verify_source
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.provider_writes import count_unsettled
from cyphera_pipelines.store.purges import list_unfinished_purges
from cyphera_pipelines.store.retention import forget_old

PURGE_SECONDS = 20.0
"""Of all purges at one look."""
SETTLE_SECONDS = 20.0
"""In which the last write of one look is taken up; it may take as long again."""
ALERT_SECONDS = 5.0
"""In which messages of one look are begun. Few, since the other sensors wait meanwhile: what a slow receiver has not
taken by then is left to its thread, which goes on in this process."""
RETENTION_SECONDS = 20.0
"""Of one look: Dagster gives a sensor a minute, and the other sensors wait."""


@sensor(
    name="payment_sources",
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Adds a partition for every new source and removes those of sources that are gone.",
)
def payment_sources_sensor(context: SensorEvaluationContext, database: DatabaseResource) -> SensorResult:
    """Keep the partitions in step with the active configurations."""
    changes = partitions.partition_changes(database.open(), context.instance)
    requests: list[AddDynamicPartitionsRequest | DeleteDynamicPartitionsRequest] = []
    if changes.added:
        requests.append(partitions.payment_sources.build_add_request(changes.added))
    if changes.removed:
        requests.append(partitions.payment_sources.build_delete_request(changes.removed))
    if not requests:
        return SensorResult(skip_reason=SkipReason("The partitions are in step with the sources."))
    return SensorResult(dynamic_partitions_requests=requests)


@sensor(
    name=OUTBOX_SENSOR,
    jobs=[sync_source, verify_source],
    # The daemon looks every five seconds: with five here, a look that comes a little early is one in ten seconds.
    minimum_interval_seconds=4,
    default_status=DefaultSensorStatus.RUNNING,
    description="Starts a run for every session that has been pending for a while without one: the API submits its "
    "sessions' runs itself, and may not have got through.",
)
def pending_sessions(context: SensorEvaluationContext, database: DatabaseResource) -> SensorResult:
    """The outbox of the API: no session stays pending because somebody died or could not be reached."""
    tick = look_into_outbox(database.open(), context.instance)
    if not tick.runs:
        settled = f"{tick.settled} sessions were found to have a run, or no source any more." if tick.settled else None
        return SensorResult(skip_reason=SkipReason(settled or "Every session that was asked for has its run."))
    additions = [partitions.payment_sources.build_add_request(tick.partitions)] if tick.partitions else []
    return SensorResult(run_requests=tick.runs, dynamic_partitions_requests=additions)


@sensor(
    name="due_sources",
    job=sync_due_sources,
    # The daemon looks every five seconds: with five here, a look that comes a little early is one in ten seconds.
    minimum_interval_seconds=4,
    default_status=DefaultSensorStatus.RUNNING,
    description="Starts a batch run where sources are due by their schedules, or webhooks wait, and nobody takes them.",
)
def due_sources(context: SensorEvaluationContext, database: DatabaseResource) -> SensorResult:
    """However many sources are due, a few runs take them; none is started while nothing is due."""
    found = look_at_backlog(database.open(), context.instance, load_settings())
    if isinstance(found, RunRequest):
        return SensorResult(run_requests=[found])
    return SensorResult(skip_reason=SkipReason(found))


@run_failure_sensor(
    name="sessions_of_failed_runs",
    minimum_interval_seconds=10,
    default_status=DefaultSensorStatus.RUNNING,
    description="Ends the session of a run that failed before its sync could end it.",
)
def sessions_of_failed_runs(context: RunFailureSensorContext, database: DatabaseResource) -> None:
    """A run that failed, or whose process vanished, leaves no session running."""
    reason, code = _reason(context)
    done = end_session_of_run(
        database.open(), context.dagster_run, SessionStatus.FAILED, reason=redact(reason), code=code
    )
    context.log.info(done)


@run_status_sensor(
    run_status=DagsterRunStatus.CANCELED,
    name="sessions_of_cancelled_runs",
    minimum_interval_seconds=10,
    default_status=DefaultSensorStatus.RUNNING,
    description="Ends the session of a run that was cancelled before its sync could end it.",
)
def sessions_of_cancelled_runs(context: RunStatusSensorContext, database: DatabaseResource) -> None:
    """A run that was cancelled, even before it began, leaves no session running."""
    context.log.info(end_session_of_run(database.open(), context.dagster_run, SessionStatus.CANCELLED))


@sensor(
    name="sessions_without_a_process",
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Ends sessions, and their runs, whose process was killed or whose host went away.",
)
def sessions_without_a_process(context: SensorEvaluationContext, database: DatabaseResource) -> SensorResult:
    """Without this a run that nobody executes any more would hold its source's place in the queue for hours."""
    sessions = [str(session.id) for session in end_vanished_sessions(database.open(), context.instance)]
    runs = [run.run_id for run in end_runs_of_ended_sessions(database.open(), context.instance)]
    runs += end_dead_batches(database.open(), context.instance)
    if sessions or runs:
        reason = f"Ended {', '.join(sessions + runs)}: nobody is at work on them."
    else:
        reason = "Every running session has a process behind it."
    return SensorResult(skip_reason=SkipReason(reason))


@sensor(
    name="retention",
    minimum_interval_seconds=600,
    default_status=DefaultSensorStatus.RUNNING,
    description="Forgets old sessions, their events, webhooks and removed configurations, a piece at a time.",
)
def retention(context: SensorEvaluationContext, database: DatabaseResource) -> SensorResult:
    """What `CYPHERA_KEEP_..._DAYS` says; what is left of it is the next look's."""
    del context
    forgotten = forget_old(database.open(), load_settings().retention(), within=RETENTION_SECONDS)
    left = "" if forgotten.is_all else " The rest is the next look's."
    return SensorResult(skip_reason=SkipReason(f"Deleted {forgotten}.{left}"))


@sensor(
    name="requested_purges",
    minimum_interval_seconds=5,
    default_status=DefaultSensorStatus.RUNNING,
    description="Removes everything that is kept of workspaces and sources that are to be purged, a piece at a time.",
)
def requested_purges(context: SensorEvaluationContext, database: DatabaseResource) -> SensorResult:
    """What `DELETE ...?purge=true` asked for, and commands that were interrupted."""
    told = []
    unfinished = list_unfinished_purges(database.open())
    for requested in unfinished:
        # Each has its part: one that waits for something holds up no other.
        within = PURGE_SECONDS / len(unfinished)
        try:
            purge = carry_out_purge(database.open(), context.instance, requested, within=within)
        except (CypheraError, SQLAlchemyError) as error:
            context.log.exception(f"Purge {requested.id} could not be carried on.")
            told.append(f"Purge {requested.id} could not be carried on: {redact(str(error))}")
            continue
        waits = f", waits for {purge.waits_for}" if purge.waits_for else ""
        # By its id: ticks outlive the purge.
        told.append(f"Purge {purge.id}: {purge.status.value}, {counted(purge.rows, 'row')} deleted{waits}.")
    return SensorResult(skip_reason=SkipReason(" ".join(told) or "Nothing is to be purged."))


@sensor(
    name="unsettled_writes",
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Finds out what became of writes at providers of which no answer came: by reading, and by sending one "
    "that is not there again under its idempotency key.",
)
def unsettled_writes(
    context: SensorEvaluationContext, database: DatabaseResource, keyring: KeyringResource
) -> SensorResult:
    """Those that nobody has been at work on for a minute; of all workspaces in turn, a portion at a time."""
    if not count_unsettled(database.open()):
        return SensorResult(skip_reason=SkipReason("Every write is settled."))
    portion = settle_overdue(database.open(), keyring.load(), within=SETTLE_SECONDS)
    for configuration_id, reason in portion.failed.items():
        context.log.warning(f"Writes of configuration {configuration_id} cannot be settled now: {redact(reason)}")
    return SensorResult(skip_reason=SkipReason(f"{portion}."))


@sensor(
    name="alerts",
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Looks at what is wrong with sources, and tells it, once, to the channels that people added: see "
    "`cyphera alerts`.",
)
def alerts(context: SensorEvaluationContext, database: DatabaseResource, keyring: KeyringResource) -> SensorResult:
    """One look at all sources; what a slow receiver has not taken in time is left to the next."""
    del context
    done = look(database.open(), keyring.load(), load_settings(), within=ALERT_SECONDS)
    return SensorResult(skip_reason=SkipReason(f"{done}."))


def _reason(context: RunFailureSensorContext) -> tuple[str, ErrorCode | None]:
    """Why the run failed: our own sentence and its code if a step of ours failed, else what Dagster says of it."""
    for event in context.get_step_failure_events():
        failure = event.step_failure_data.user_failure_data
        if failure is not None and failure.description:
            return failure.description, error_code_in(failure.metadata)
    # Of a process that was killed, only the event before the failure tells how.
    before = context.instance.get_records_for_run(
        context.dagster_run.run_id, of_type=DagsterEventType.ENGINE_EVENT, limit=1, ascending=False
    ).records
    messages = [context.failure_event.message, *(record.event_log_entry.message for record in before)]
    return f"Dagster says: {' '.join(_first_sentence(message) for message in messages if message)}", None


def _first_sentence(message: str) -> str:
    return message.strip().partition(". ")[0].rstrip(".") + "."
