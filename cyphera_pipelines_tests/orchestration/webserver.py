"""What the Dagster UI asks for, and what the daemon then does, without their processes.

The code is loaded by a code server as in production; the runs are carried out by this process, one after the other.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dagster import AssetKey, DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.execution.api import execute_run
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.tags import BACKFILL_ID_TAG
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster_graphql.test.utils import execute_dagster_graphql

from cyphera_pipelines.model.runs import CODE_LOCATION, REPOSITORY, SYNC_JOB
from cyphera_pipelines.settings import project_root

SELECTOR = {"repositoryName": REPOSITORY, "repositoryLocationName": CODE_LOCATION}
ASSET_JOB = "__ASSET_JOB"
_LAUNCH_BACKFILL = """
mutation ($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
_RETRY_BACKFILL = """
mutation ($retry: ReexecutionParams!) {
  reexecutePartitionBackfill(reexecutionParams: $retry) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
_LAUNCH_RUN = """
mutation ($run: ExecutionParams!) {
  launchRun(executionParams: $run) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
_RETRY_RUN = """
mutation ($retry: ReexecutionParams!) {
  launchRunReexecution(reexecutionParams: $retry) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""


@dataclass(frozen=True)
class Webserver:
    """The UI's GraphQL, and the daemon behind it."""

    context: WorkspaceProcessContext

    @property
    def instance(self) -> DagsterInstance:
        return self.context.instance

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The answer's only field; an error in it fails the test."""
        result = execute_dagster_graphql(self.context.create_request_context(), query, variables)
        assert not result.errors, result.errors
        (answer,) = result.data.values()
        return dict(answer)

    def materialize(self, keys: list[str], assets: list[AssetKey]) -> PartitionBackfill:
        """'Materialize' of several partitions, up to the backfill's end."""
        return self.end_of(self.launch(keys, assets))

    def launch(self, keys: list[str], assets: list[AssetKey]) -> str:
        """'Materialize' of several partitions, of which the daemon has yet to learn: the backfill's id."""
        selection = [asset.to_graphql_input() for asset in assets]
        return _id_of(self.ask(_LAUNCH_BACKFILL, backfill={"assetSelection": selection, "partitionNames": keys}))

    def launch_job(self, keys: list[str], job: str = SYNC_JOB) -> str:
        """The same from a job's page."""
        partition_set = {"partitionSetName": f"{job}_partition_set", "repositorySelector": SELECTOR}
        return _id_of(self.ask(_LAUNCH_BACKFILL, backfill={"selector": partition_set, "partitionNames": keys}))

    def retry(self, backfill: PartitionBackfill) -> PartitionBackfill:
        """'Re-execute from failure' of a backfill, up to the end of the new one."""
        strategy = {"parentRunId": backfill.backfill_id, "strategy": "FROM_FAILURE"}
        return self.end_of(_id_of(self.ask(_RETRY_BACKFILL, retry=strategy)))

    def queue(self, key: str) -> DagsterRun:
        """'Launch run' of the job that syncs a source: the run, before the daemon takes it from the queue."""
        tags = [{"key": "dagster/partition", "value": key}]
        selector = {**SELECTOR, "pipelineName": SYNC_JOB}
        answer = self.ask(_LAUNCH_RUN, run={"selector": selector, "executionMetadata": {"tags": tags}})
        run = self.instance.get_run_by_id(answer["run"]["runId"])
        assert run is not None
        return run

    def check(self, key: str, checks: list[tuple[AssetKey, str]]) -> DagsterRun:
        """'Execute' of checks alone."""
        names = [{"assetKey": asset.to_graphql_input(), "name": name} for asset, name in checks]
        selector = {**SELECTOR, "pipelineName": ASSET_JOB, "assetSelection": [], "assetCheckSelection": names}
        tags = [{"key": "dagster/partition", "value": key}]
        return self._carry_out(
            self.ask(_LAUNCH_RUN, run={"selector": selector, "executionMetadata": {"tags": tags}})["run"]["runId"]
        )

    def retry_run(self, run: DagsterRun, strategy: str) -> DagsterRun:
        """'Re-execute' of one run, up to the end of the new one."""
        answer = self.ask(_RETRY_RUN, retry={"parentRunId": run.run_id, "strategy": strategy})
        return self._carry_out(answer["run"]["runId"])

    def runs_of(self, backfill: PartitionBackfill) -> list[DagsterRun]:
        return list(self.instance.get_runs(RunsFilter(tags={BACKFILL_ID_TAG: backfill.backfill_id})))

    def end_of(self, backfill_id: str) -> PartitionBackfill:
        """The backfill after its end."""
        for _iteration in range(10):
            list(execute_backfill_iteration(self.context, logging.getLogger(__name__)))
            backfill = self.instance.get_backfill(backfill_id)
            assert backfill is not None
            if backfill.status not in (BulkActionStatus.REQUESTED, BulkActionStatus.FAILING):
                return backfill
            for run in self.runs_of(backfill):
                if not run.is_finished:
                    self._carry_out(run.run_id)
        raise AssertionError("the backfill has no end")

    def _carry_out(self, run_id: str) -> DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        # What the daemon notes when it takes a run from the queue.
        assert run.status is DagsterRunStatus.QUEUED
        starting = DagsterEvent(DagsterEventType.PIPELINE_STARTING.value, run.job_name)
        self.instance.report_dagster_event(starting, run_id)
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        repository = ReconstructableRepository.for_module(CODE_LOCATION, "definitions")
        execute_run(repository.get_reconstructable_job(run.job_name), run, self.instance, raise_on_error=False)
        ended = self.instance.get_run_by_id(run_id)
        assert ended is not None
        return ended


def _id_of(answer: dict[str, Any]) -> str:
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    return str(answer["backfillId"])


@contextmanager
def webserver(instance: DagsterInstance) -> Iterator[Webserver]:
    """The project's code behind the UI, until the context is left."""
    with WorkspaceProcessContext(instance, WorkspaceFileTarget([str(project_root() / "workspace.yaml")])) as context:
        yield Webserver(context)
