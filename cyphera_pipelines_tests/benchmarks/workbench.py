"""What every scenario works with: the sandbox in its own process, an embedded Postgres of its own, and sources."""

import itertools
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cyphera_pipelines import local
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.limits import HIGHEST_RATE
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import ClientOptions, Interval
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxProcess
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.workspaces import create_workspace
from cyphera_pipelines_tests.benchmarks.consumption import Consumption
from cyphera_pipelines_tests.benchmarks.dataset import PAGE, Contents, benchmark_account, contents_of
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.row_counts import count_rows

NO_LIMITS = {"account": HIGHEST_RATE, "endpoint": HIGHEST_RATE}
_LOOK_EVERY = 0.25


class BenchmarkError(CypheraError):
    """A sync did not end as it had to, so that its figures would mean nothing."""


Watcher = Callable[[int, dict[str, Any]], None]
"""Called four times a second while a process runs: with its process id, and the sandbox's counters."""


@dataclass
class Workbench:
    """One run of the benchmarks. `results` are those of the scenarios that ran already."""

    home: Path
    scale: float
    sandbox: SandboxProcess
    database: Database
    keyring: Keyring
    console: Console
    profile: Path | None = None
    results: dict[str, Result] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _contents: dict[str, Contents] = field(default_factory=dict)

    @cached_property
    def account(self) -> SandboxAccount:
        """The account that most scenarios sync. The sandbox holds its objects: generating them must not compete."""
        return self.open_account("benchmark", self.scale)

    @cached_property
    def loaded_source(self) -> Source:
        """A source whose tables hold the account: that of the first load, or one loaded for this."""
        requests = self.contents(self.account).all_requests
        source = self.new_source(self.account.api_key, rate_limits=NO_LIMITS)
        self.behave()
        self.sync(source, title="Loading the account, unmeasured", requests=requests)
        return source

    def contents(self, account: SandboxAccount) -> Contents:
        """What is in an account."""
        if account.account_id not in self._contents:
            self._contents[account.account_id] = contents_of(account)
        return self._contents[account.account_id]

    def open_account(self, name: str, scale: float) -> SandboxAccount:
        """Add an account to the sandbox and have it make all its answers, which it keeps."""
        account = benchmark_account(name, scale)
        objects = sum(account.size_of(collection) for collection in ("customers", "subscriptions", "invoices"))
        with self.console.status(f"The sandbox generates {objects:,} objects"):
            self.sandbox.put_account(account)
            self.sandbox.warm(account.account_id)
            self._list_all(account)
        return account

    def _list_all(self, account: SandboxAccount) -> None:
        """Have everything shown as a sync asks for it, with discounts and tiers, which `warm` knows nothing of."""
        credentials = Credentials(api_key=SecretStr(account.api_key), base_url=self.sandbox.url)
        with closing(find_provider("stripe").connect(credentials, ClientOptions())) as client:
            for entity in Entity:
                cursor: str | None = None
                while (page := client.list_page(entity, interval=Interval(), cursor=cursor, limit=PAGE)).has_more:
                    cursor = page.objects[-1]["id"]

    def new_source(self, api_key: str, *, rate_limits: dict[str, float] | None = None) -> Source:
        """A source in a workspace of its own. Without `rate_limits` the provider's published ones apply."""
        workspace = create_workspace(self.database, f"bench-{next(self._numbers)}")
        credentials = Credentials(api_key=SecretStr(api_key), base_url=self.sandbox.url)
        metadata = {} if rate_limits is None else {"rate_limits": rate_limits}
        is_test_mode = not api_key.startswith("sk_live_")
        create_configuration(
            self.database, self.keyring, workspace, "stripe", credentials, is_test_mode=is_test_mode, metadata=metadata
        )
        source = find_source(self.database, f"{workspace.slug}:stripe")
        if rate_limits is not None and source.rate_limits is None:
            raise BenchmarkError(f"The rates {rate_limits} are not taken: the provider's published ones would apply.")
        return source

    def behave(self, options: SandboxOptions | None = None) -> None:
        """Set the sandbox's latency and limits (default: neither) and its counters to zero."""
        self.sandbox.set_options(options or SandboxOptions())
        self.sandbox.reset_counters()

    def sync(
        self,
        source: Source,
        *options: str,
        title: str,
        requests: int,
        on_look: Watcher | None = None,
        profile: Path | None = None,
    ) -> "SyncMeasures":
        """Sync a source in a process of its own; see `run`. Raises BenchmarkError if it does not complete."""
        printed = self.run(
            "sync_process", source.key, *options, title=title, requests=requests, on_look=on_look, profile=profile
        )
        measures = SyncMeasures.read(printed)
        if measures.status != "completed":
            raise BenchmarkError(f"The sync of {source.key} ended {measures.status}: {measures.error}")
        return measures

    def expect_rows(self, source: Source, expected: dict[str, int]) -> int:
        """Return how many rows the source has, or raise BenchmarkError if they are not the expected ones.

        Of tables that are not named it has none.
        """
        found = {name: rows for name, rows in count_rows(self.database, source).items() if rows or name in expected}
        if found != expected:
            raise BenchmarkError(f"{source.key} should have the rows {expected} and has {found}.")
        return sum(found.values())

    def run(
        self,
        program: str,
        *arguments: str,
        title: str,
        requests: int,
        on_look: Watcher | None = None,
        profile: Path | None = None,
    ) -> dict[str, Any]:
        """Run a module of this package as a process and return the JSON that it prints at its end.

        About so many requests are expected of it: that is what the progress bar shows, and what does not disturb it.
        With `profile` py-spy watches it and writes a flame graph there. Raises BenchmarkError if the process fails.
        """
        command = [sys.executable, "-m", f"{__package__}.{program}", *arguments]
        if profile is not None:
            command = ["py-spy", "record", "--output", str(profile), "--", *command]
        with _bar(self.console, title, requests) as show, subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            ended = threading.Event()

            def look() -> None:
                while not ended.wait(_LOOK_EVERY):
                    counters = self.sandbox.counters()
                    show(counters["total"])
                    if on_look is not None:
                        on_look(process.pid, counters)

            watcher = threading.Thread(target=look, name="watch-process", daemon=True)
            watcher.start()
            try:
                output, _ = process.communicate()
            except BaseException:
                process.terminate()
                raise
            finally:
                ended.set()
                watcher.join()
        results = [line for line in output.splitlines() if line.startswith(b"{")]
        if process.returncode != 0 or not results:
            raise BenchmarkError(f"{program} ended with exit code {process.returncode} and no result; see above.")
        result: dict[str, Any] = orjson.loads(results[-1])
        return result


@contextmanager
def _bar(console: Console, title: str, requests: int) -> Iterator[Callable[[int], None]]:
    """Show the requests answered so far, in a terminal; elsewhere only what is being done."""
    if not console.is_terminal:
        console.print(title, highlight=False)
        yield lambda _answered: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("requests"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(title, total=requests)
        yield lambda answered: progress.update(task, completed=answered, total=max(requests, answered))


@dataclass(frozen=True)
class SyncMeasures:
    """How a sync process ended, what it took, and each entity's counts as in `EntityProgress`."""

    status: str
    error: str | None
    consumption: Consumption
    entities: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, printed: dict[str, Any]) -> "SyncMeasures":
        """From what `sync_process` printed."""
        consumption = Consumption(**printed["consumption"])
        return cls(printed["status"], printed["error"], consumption, printed["entities"])

    def changed_rows(self) -> dict[str, int]:
        """How many rows of all tables were created, updated, left unchanged and tombstoned."""
        counts = [counted for entity in self.entities.values() for counted in (entity, *entity["children"].values())]
        return {what: sum(count[what] for count in counts) for what in ("created", "updated", "unchanged", "deleted")}


@contextmanager
def open_workbench(scale: float, console: Console, profile: Path | None = None) -> Iterator[Workbench]:
    """Start the sandbox and a server in a temporary CYPHERA_HOME; both end with the context, and the data goes."""
    with tempfile.TemporaryDirectory(prefix="cyphera-bench-") as folder, SandboxProcess([]) as sandbox:
        home = Path(folder) / "home"
        # Whatever the environment points to, nothing but this home's own database is ever touched.
        for name in [name for name in os.environ if name.startswith(("CYPHERA_", "PAYMENT_SYNC_"))]:
            del os.environ[name]
        os.environ["CYPHERA_HOME"] = str(home)
        postgres = local.start(home)
        try:
            settings = load_settings()
            database = open_database(settings, application_name="cyphera benchmarks")
            try:
                yield Workbench(home, scale, sandbox, database, load_keyring(settings), console, profile)
            finally:
                database.close()
        finally:
            postgres.release()
            local.stop(home)
