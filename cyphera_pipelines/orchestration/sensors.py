"""Sensors: partitions that follow the sources, and sessions that end with their runs."""

from dagster import (
    AddDynamicPartitionsRequest,
    DagsterRunStatus,
    DefaultSensorStatus,
    DeleteDynamicPartitionsRequest,
    RunFailureSensorContext,
    RunStatusSensorContext,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    run_failure_sensor,
    run_status_sensor,
    sensor,
)

from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.orchestration import partitions
from cyphera_pipelines.orchestration.backstop import end_session_of_run, end_vanished_sessions
from cyphera_pipelines.orchestration.resources import DatabaseResource


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


@run_failure_sensor(
    name="sessions_of_failed_runs",
    minimum_interval_seconds=10,
    default_status=DefaultSensorStatus.RUNNING,
    description="Ends the session of a run that failed before its sync could end it.",
)
def sessions_of_failed_runs(context: RunFailureSensorContext, database: DatabaseResource) -> None:
    """A run that failed, or whose process vanished, leaves no session running."""
    context.log.info(end_session_of_run(database.open(), context.dagster_run, SessionStatus.FAILED))


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
    ended = end_vanished_sessions(database.open(), context.instance)
    if ended:
        reason = f"Ended {', '.join(str(session.id) for session in ended)}: nobody is at work on them."
    else:
        reason = "Every running session has a process behind it."
    return SensorResult(skip_reason=SkipReason(reason))
