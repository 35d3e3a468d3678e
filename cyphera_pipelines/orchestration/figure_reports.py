"""Figures that follow the tables: built after a sync, and shown in Dagster on their own assets.

Where nothing changed, nothing is shown. A build that fails fails nothing else: it is recorded as a failed run of the
job that builds figures, which a person reads, and starts again with one click.
"""

import logging
import traceback
from collections.abc import Callable

from dagster import AssetCheckEvaluation, AssetMaterialization, DagsterInstance
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.events import EngineEventData
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import MAX_RETRIES_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from sqlalchemy.exc import DBAPIError

from cyphera_pipelines.figures.all_figures import build_all
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.runs import CODE_LOCATION, FIGURES_JOB, PARTITION_TAG, SOURCE_TAG, SOURCES_PARTITIONS
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.orchestration.failures import ERROR_CODE, text_value
from cyphera_pipelines.orchestration.figures import (
    FIGURE_TABLES,
    check_figures,
    figures_key,
    metadata_of,
    metadata_of_revenue,
)
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.database_errors import error_code_of, reason_of
from cyphera_pipelines.store.figure_builds import are_figures_behind

Show = Callable[[AssetMaterialization | AssetCheckEvaluation], None]
"""Logs an event in the name of the run that goes on."""

_log = logging.getLogger(__name__)


def bring_figures_in_step(
    instance: DagsterInstance,
    database: Database,
    source: Source,
    *,
    has_changed: bool,
    show: Show,
    side_by_side: bool = True,
) -> bool:
    """Build the source's figures if its tables have changed, or if they are behind, and show what came of it.

    With `side_by_side` that takes two of the process' connections, else one. Returns False if that failed, which is
    recorded; nothing is raised but what ends the process.
    """
    try:
        if has_changed or are_figures_behind(database, source, livemode=not source.is_test_mode):
            _build_and_show(instance, database, source, show, side_by_side=side_by_side)
    except Exception as error:
        _log.warning("The figures of %s could not be built.", source.key, exc_info=True)
        _record_failure(instance, source, error)
        return False
    return True


def _build_and_show(
    instance: DagsterInstance,
    database: Database,
    source: Source,
    show: Show,
    *,
    side_by_side: bool,
) -> None:
    livemode = not source.is_test_mode
    built, revenue = build_all(database, source, livemode=livemode, side_by_side=side_by_side)
    shown = metadata_of(database, source, built) if built.written or built.removed else {}
    if revenue.written or revenue.removed:
        shown |= metadata_of_revenue(database, source, revenue)
    if not shown:
        return
    _have_partition(instance, source)
    for key, metadata in shown.items():
        show(AssetMaterialization(key, partition=source.key, metadata=metadata))
    for check in check_figures(database, source):
        assert check.asset_key is not None
        assert check.check_name is not None
        evaluation = AssetCheckEvaluation(
            asset_key=check.asset_key,
            check_name=check.check_name,
            passed=check.passed,
            severity=check.severity,
            description=check.description,
            metadata=check.metadata,
            partition=source.key,
        )
        show(evaluation)


def _record_failure(instance: DagsterInstance, source: Source, error: Exception) -> None:
    """A failed run of the source's figures that was never launched, and says why."""
    message, about = _told(error), {"source": source.key, ERROR_CODE: error_code_of(error).value}
    if not isinstance(error, CypheraError | DBAPIError):
        about["traceback"] = redact("".join(traceback.format_exception(error)))
    try:
        _have_partition(instance, source)
        job = ReconstructableRepository.for_module(CODE_LOCATION, "definitions").get_reconstructable_job(FIGURES_JOB)
        target = LoadableTargetOrigin(module_name=CODE_LOCATION)
        location = ManagedGrpcPythonEnvCodeLocationOrigin(target, CODE_LOCATION)
        run = instance.create_run_for_job(
            job.get_definition(),
            tags={PARTITION_TAG: source.key, SOURCE_TAG: source.key, MAX_RETRIES_TAG: "0"},
            asset_selection=frozenset(figures_key(table) for table in FIGURE_TABLES),
            remote_job_origin=RemoteJobOrigin(
                RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME), job.job_name
            ),
            job_code_origin=job.get_python_origin(),
        )
        metadata = {name: text_value(text) for name, text in about.items()}
        instance.report_engine_event(message, run, EngineEventData(metadata))
        instance.report_run_failed(run, message)
    except Exception:
        _log.exception("That the figures of %s could not be built cannot be shown in Dagster.", source.key)


def _told(error: Exception) -> str:
    if isinstance(error, CypheraError):
        reason = str(error)
    elif isinstance(error, DBAPIError):
        reason = f"The database failed: {reason_of(error)}."
    else:
        reason = f"An error of ours: {type(error).__name__}: {next(iter(str(error).splitlines()), 'no reason given')}"
    return redact(f"The tables are in step, and the figures made of them are not. {reason}")


def _have_partition(instance: DagsterInstance, source: Source) -> None:
    if not instance.has_dynamic_partition(SOURCES_PARTITIONS, source.key):
        instance.add_dynamic_partitions(SOURCES_PARTITIONS, [source.key])
