"""One Dagster instance over the run's embedded Postgres, and one sandbox, for all tests of the orchestration."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    ExecuteInProcessResult,
    SensorEvaluationContext,
)
from dagster._core.definitions.sensor_definition import SensorExecutionData

from cyphera_pipelines.definitions import definitions
from cyphera_pipelines.model.runs import SOURCES_PARTITIONS
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.orchestration.assets import SYNC_STEP
from cyphera_pipelines.orchestration.jobs import sync_source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.settings import project_root

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def dagster_home(home: Path) -> Iterator[Path]:
    """The checkout as DAGSTER_HOME, set in the environment for child processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(project_root()))
        yield project_root()


@pytest.fixture(scope="session")
def instance(dagster_home: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.get() as opened:
        yield opened


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([]) as server:
        yield server


@dataclass(frozen=True)
class Tenant:
    """A source and the sandbox account behind it."""

    source: Source
    account: SandboxAccount


@pytest.fixture
def add_tenant(
    sandbox: SandboxServer, instance: DagsterInstance, add_source: Callable[..., Source]
) -> Callable[..., Tenant]:
    """Make a source with an account and a partition: `add_tenant(lacks={"invoice"}, customers=3)`."""

    def add(lacks: set[str] | None = None, **account: object) -> Tenant:
        number = next(_numbers)
        key = f"{'rk' if lacks else 'sk'}_test_orchestration{number:06d}"
        full_key = f"sk_test_orchestration{number:06d}full" if lacks else key
        made = SandboxAccount(
            api_key=full_key,
            account_id=f"acct_orchestration{number}",
            restricted_keys={key: frozenset(lacks)} if lacks else {},
            **account,  # type: ignore[arg-type]
        )
        sandbox.state.put_account(made)
        source = add_source(key, sandbox.url)
        instance.add_dynamic_partitions(SOURCES_PARTITIONS, [source.key])
        return Tenant(source, made)

    return add


Materialize = Callable[..., ExecuteInProcessResult]


@pytest.fixture
def materialize(instance: DagsterInstance) -> Materialize:
    """Run the job as Dagster does: `materialize(key, tables=["customers"], full_sync=True, tags={...})`."""

    def run(
        key: str | None, *, tables: list[str] | None = None, tags: dict[str, str] | None = None, **config: object
    ) -> ExecuteInProcessResult:
        return definitions.resolve_job_def(sync_source.name).execute_in_process(
            partition_key=key,
            instance=instance,
            asset_selection=[AssetKey(["payments", name]) for name in tables] if tables else None,
            run_config={
                "ops": {SYNC_STEP: {"config": config}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            tags=tags,
            raise_on_error=False,
        )

    return run


@dataclass(frozen=True)
class RunView:
    """What the instance tells of a run: what the UI shows."""

    instance: DagsterInstance
    run_id: str

    @property
    def run(self) -> DagsterRun:
        run = self.instance.get_run_by_id(self.run_id)
        assert run is not None
        return run

    def materialized(self) -> dict[str, dict[str, object]]:
        """The metadata of every synced table that was materialised, by the table's name."""
        return self._materialized_in("payments")

    def figures(self) -> dict[str, dict[str, object]]:
        """The same of the tables of figures."""
        return self._materialized_in("figures")

    def _materialized_in(self, schema: str) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = {}
        for entry in self.instance.all_logs(self.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION):
            assert entry.asset_materialization is not None
            materialization = entry.asset_materialization
            if materialization.asset_key.path[0] != schema:
                continue
            found[materialization.asset_key.path[-1]] = {
                name: value.value for name, value in materialization.metadata.items()
            }
        return found

    def failure(self) -> tuple[str, dict[str, object]]:
        """The message and the metadata of the step that failed."""
        (entry,) = self.instance.all_logs(self.run_id, of_type=DagsterEventType.STEP_FAILURE)
        assert entry.dagster_event is not None
        data = entry.dagster_event.step_failure_data
        assert data.error is not None
        assert data.error.cause is None
        assert data.error.context is None
        metadata = data.user_failure_data.metadata if data.user_failure_data else {}
        return data.error.message, {name: value.value for name, value in metadata.items()}


@pytest.fixture
def view(instance: DagsterInstance) -> Callable[[str], RunView]:
    return lambda run_id: RunView(instance, run_id)


def evaluate(instance: DagsterInstance, sensor: str, cursor: str | None = None) -> SensorExecutionData:
    """One evaluation of a sensor, as the daemon makes it."""
    repository = definitions.get_repository_def()
    with SensorEvaluationContext(
        instance_ref=instance.get_ref(),
        last_tick_completion_time=None,
        last_run_key=None,
        cursor=cursor,
        # As None a sensor of run statuses sees the runs that name no code location, such as the tests' own.
        repository_name=None,
        repository_def=repository,
        instance=instance,
        resources={name: repository.get_top_level_resources()[name] for name in ("database", "keyring")},
    ) as context:
        return repository.get_sensor_def(sensor).evaluate_tick(context)
