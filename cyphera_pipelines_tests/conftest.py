"""What most tests share: one embedded Postgres, and workspaces that no other test uses."""

import gc
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis
from pydantic import SecretStr

from cyphera_pipelines import local
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import Settings, load_settings
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.workspaces import create_workspace

# The same examples each time, however slow the machine is; with --hypothesis-profile=new others are looked for.
hypothesis.register_profile("new", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.register_profile("same", hypothesis.get_profile("new"), derandomize=True, database=None)
hypothesis.load_profile("same")
_MEMORY = Path("/dev/shm")  # noqa: S108 (made private by tempfile)
_QUICK_FOLDER = _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 2**31 else None
_numbers = itertools.count(1)
# Modules and what tests make of them are hundreds of thousands of objects, and the collector went through them all the
# time: that was a sixth of what a run takes.
gc.set_threshold(10_000)
# A run in the background of a script may have been told to ignore it, and so would each program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What was imported by now stays: the collector leaves it alone."""
    gc.freeze()


@pytest.fixture(scope="session")
def quick_folder() -> Path | None:
    """Where temporary data directories are made fastest; None is the system's own place."""
    return _QUICK_FOLDER


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A CYPHERA_HOME for the whole run, set in the environment for child processes too."""
    with (
        tempfile.TemporaryDirectory(prefix="cyphera", dir=_QUICK_FOLDER) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        path = Path(folder) / "home"
        for name in [name for name in os.environ if name.startswith(("CYPHERA_", "PAYMENT_SYNC_"))]:
            patch.delenv(name)
        patch.setenv("CYPHERA_HOME", str(path))
        handle = local.start(path)
        yield path
        handle.release()
        # A process that a test left behind may still use it, and keep the server writing where we clean up.
        local.stop(path)


@pytest.fixture(scope="session")
def settings(home: Path) -> Settings:
    return load_settings()


@pytest.fixture(scope="session")
def database(settings: Settings) -> Iterator[Database]:
    opened = open_database(settings, pool_size=20)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def keyring(settings: Settings) -> Keyring:
    return load_keyring(settings)


@pytest.fixture
def workspace(database: Database) -> Workspace:
    return new_workspace(database)


@pytest.fixture(scope="session")
def add_source(database: Database, keyring: Keyring) -> Callable[..., Source]:
    """Make a source: `add_source(api_key, base_url)`, in a workspace of its own unless one is given.

    It is one of Stripe's, or with `site` one of Chargebee's.
    """

    def add(
        api_key: str,
        base_url: str | None = None,
        *,
        workspace: Workspace | None = None,
        raw: bool = True,
        connected_account_id: str | None = None,
        site: str | None = None,
    ) -> Source:
        workspace = workspace or new_workspace(database)
        provider, options = ("stripe", {}) if site is None else ("chargebee", {"site": site})
        credentials = Credentials(api_key=SecretStr(api_key), base_url=base_url, options=options)
        is_test_mode = not api_key.startswith(("sk_live_", "rk_live_", "sk_org_live_"))
        metadata = {"rate_limits": {"account": 5_000, "endpoint": 5_000}, "store_raw": raw}
        create_configuration(
            database,
            keyring,
            workspace,
            provider,
            credentials,
            is_test_mode=is_test_mode,
            connected_account_id=connected_account_id,
            metadata=metadata,
        )
        return find_source(database, f"{workspace.slug}:{provider}")

    return add


def new_workspace(database: Database) -> Workspace:
    """A workspace with a slug of its own."""
    return create_workspace(database, f"tenant-{next(_numbers)}-{os.getpid()}")
