from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import QueuePool

from cyphera_pipelines.orchestration.artifacts import HomeComputeLogManager
from cyphera_pipelines.orchestration.dagster_database import prepare_dagster_database
from cyphera_pipelines.orchestration.storage import PooledPostgresStorage
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.connection_waits import DatabaseUnavailableError
from cyphera_pipelines.store.database import Database


def test_the_instance_keeps_its_connections_and_its_files_under_the_home(
    instance: DagsterInstance, home: Path, dagster_home: Path
) -> None:
    storage_class = instance.get_ref().storage_data
    assert storage_class is not None
    assert storage_class.class_name == PooledPostgresStorage.__name__
    assert_keeps_connections(instance)
    assert instance.root_directory == str(home / "dagster")
    assert isinstance(instance.compute_log_manager, HomeComputeLogManager)
    assert instance.compute_log_manager._base_dir == str(home / "dagster" / "compute_logs")
    assert not instance.telemetry_enabled
    assert instance.run_retries_enabled


def assert_keeps_connections(instance: DagsterInstance) -> None:
    for store in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
        assert isinstance(store._engine.pool, QueuePool)  # type: ignore[union-attr]


def test_another_process_makes_the_same_storage_from_the_instances_reference(instance: DagsterInstance) -> None:
    reference = instance.get_ref()
    assert "postgresql" not in str(reference)
    with DagsterInstance.from_ref(reference) as other:
        assert_keeps_connections(other)
        run = DagsterRun(job_name="made elsewhere")
        other.add_run(run)
    assert instance.has_run(run.run_id)
    instance.delete_run(run.run_id)


def test_connections_that_were_cut_are_replaced(instance: DagsterInstance, database: Database) -> None:
    instance.get_runs_count()
    engine = create_engine(database.dagster_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        cut = connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = 'dagster' AND pid <> pg_backend_pid()"
            )
        ).all()
    engine.dispose()
    assert cut
    assert instance.get_runs_count() >= 0
    assert instance.get_dynamic_partitions("none") == []


def test_a_missing_database_is_created(database: Database, home: Path) -> None:
    url = database.dagster_url.set(database="dagster elsewhere")
    settings = Settings(home=home, dagster_database_url=url.render_as_string(hide_password=False))  # type: ignore[arg-type]
    for _ in range(2):
        engine = create_engine(prepare_dagster_database(settings))
        with engine.connect() as connection:
            assert connection.execute(text("SELECT current_database()")).scalar_one() == "dagster elsewhere"
        engine.dispose()


def test_dagsters_database_lies_beside_the_applications(database: Database, home: Path) -> None:
    url = make_url(database.psql_url).render_as_string(hide_password=False)
    settings = Settings(home=home, database_url=url)  # type: ignore[arg-type]
    assert prepare_dagster_database(settings).database == "dagster"


@pytest.mark.parametrize("change", [{"port": 1}, {"username": "nobody_here"}])
def test_a_database_that_cannot_be_used_is_told_in_one_line(
    database: Database, home: Path, change: dict[str, object]
) -> None:
    url = database.dagster_url.set(database="dagster_refused", password="hunter2hunter2", **change)  # type: ignore[arg-type]
    if "port" in change:
        url = url.set(query={**url.query, "port": "1"})
    settings = Settings(home=home, dagster_database_url=url.render_as_string(hide_password=False))  # type: ignore[arg-type]
    with pytest.raises(DatabaseUnavailableError, match="CYPHERA_DAGSTER_DATABASE_URL") as raised:
        prepare_dagster_database(settings)
    assert "\n" not in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_output_is_captured_unless_the_run_is_only_a_thread(
    instance: DagsterInstance, in_thread: Callable[[Callable[[], None]], None], capfd: pytest.CaptureFixture[str]
) -> None:
    manager = instance.compute_log_manager

    def say() -> None:
        with manager.capture_logs(["test", "thread"]):
            print("hello")

    in_thread(say)
    assert capfd.readouterr().out == "hello\n"
    assert manager.get_log_data(["test", "thread"]).stdout is None


@pytest.fixture
def in_thread() -> Callable[[Callable[[], None]], None]:
    from concurrent.futures import ThreadPoolExecutor

    def run(work: Callable[[], None]) -> None:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(work).result()

    return run
