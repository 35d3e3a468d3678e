"""One home for most of the command line's tests, and a sandbox for its sources."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cyphera_pipelines import local
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines_tests.cli.command import Cyphera, ForkedCyphera

MakeHome = Callable[[], Cyphera]
_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def make_home(quick_folder: Path | None) -> Iterator[MakeHome]:
    """A command with a new and empty home. Whatever runs in the homes is stopped at the end."""
    homes: list[Path] = []
    with tempfile.TemporaryDirectory(prefix="cli", dir=quick_folder) as folder:

        def make() -> Cyphera:
            homes.append(Path(folder) / f"home{len(homes)}")
            return Cyphera(homes[-1])

        yield make
        for home in homes:
            local.stop(home)


@pytest.fixture(scope="package")
def cyphera(make_home: MakeHome) -> Iterator[Cyphera]:
    """The command with a home whose server runs already."""
    command = make_home()
    handle = local.start(command.home)
    yield command
    handle.release()


@pytest.fixture(scope="package")
def forked(cyphera: Cyphera) -> Iterator[ForkedCyphera]:
    """The same command in the same home, started faster."""
    command = ForkedCyphera(cyphera.home)
    yield command
    command.close()


@pytest.fixture(scope="package")
def cli_database(cyphera: Cyphera) -> Iterator[Database]:
    """The database of that home, seen from here."""
    database = open_database(Settings(home=cyphera.home))
    yield database
    database.close()


@pytest.fixture(scope="package")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([]) as server:
        yield server


@pytest.fixture(scope="package")
def account(sandbox: SandboxServer) -> SandboxAccount:
    """A small account, with keys that may read all of it, all but invoices, and nothing any more."""
    made = SandboxAccount(
        api_key="sk_test_commandline",
        account_id="acct_commandline",
        name="Command line Ltd.",
        seed=3,
        customers=130,
        products=12,
        prices=20,
        subscriptions=60,
        invoices=140,
        long_invoice_share=0.05,
        restricted_keys={"rk_test_commandline": frozenset({"invoice"})},
    )
    sandbox.state.put_account(made)
    return made


AddSource = Callable[..., str]


@pytest.fixture(scope="package")
def add_source(forked: ForkedCyphera, sandbox: SandboxServer, account: SandboxAccount) -> AddSource:
    """Make a workspace with a source through the command line and return its slug.

    It is one of Stripe's, or with `site` one of Chargebee's.
    """

    def add(
        api_key: str = account.api_key,
        *,
        command: Cyphera = forked,
        base_url: str = sandbox.url,
        site: str | None = None,
    ) -> str:
        slug = f"cli-{next(_numbers)}"
        command("workspace", "create", slug).done()
        provider = ("stripe",) if site is None else ("chargebee", "--option", f"site={site}")
        add_key = ("source", "add", slug, *provider, "--api-key-stdin", "--base-url", base_url)
        command(*add_key, stdin=api_key + "\n").done()
        return slug

    return add
