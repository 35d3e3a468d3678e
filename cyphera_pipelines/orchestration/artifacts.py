"""Dagster's files: under the home, wherever DAGSTER_HOME is, so that two homes can share one checkout."""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._serdes import ConfigurableClassData

from cyphera_pipelines.settings import load_settings


def dagster_folder() -> Path:
    """`<CYPHERA_HOME>/dagster`."""
    return load_settings().home / "dagster"


class HomeArtifactStorage(LocalArtifactStorage):
    """Dagster's local artifacts, under the home."""

    @classmethod
    def config_type(cls) -> dict[str, object]:
        """No configuration: see `Settings`."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: object) -> "HomeArtifactStorage":
        """Called by every process of Dagster's that needs the instance."""
        del config_value
        return cls(base_dir=str(dagster_folder()), inst_data=inst_data)


class HomeComputeLogManager(LocalComputeLogManager):
    """What runs print, under the home."""

    @classmethod
    def config_type(cls) -> dict[str, object]:
        """No configuration: see `Settings`."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: object
    ) -> "HomeComputeLogManager":
        """Called by every process of Dagster's that needs the instance."""
        del config_value
        return cls(base_dir=str(dagster_folder() / "compute_logs"), inst_data=inst_data)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext, None, None]:
        """Capture the process's output, unless the run is only one thread of it.

        Capturing redirects the file descriptors of the whole process: it would swallow what the command line draws.
        """
        if threading.current_thread() is threading.main_thread():
            with super().capture_logs(log_key) as context:
                yield context
        else:
            yield CapturedLogContext(log_key)
