"""Sources at the ledger: a provider whose writes are real requests to a server that may misbehave."""

from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.conftest import new_workspace
from cyphera_pipelines_tests.operations.ledger import NAME, LedgerProvider, ledger_provider
from cyphera_pipelines_tests.operations.ledger_server import Ledger, serving_ledger

AddLedger = Callable[..., Source]


@pytest.fixture
def provider() -> Iterator[LedgerProvider]:
    with ledger_provider() as registered:
        yield registered


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with serving_ledger() as served:
        yield served


@pytest.fixture
def add_ledger(database: Database, keyring: Keyring, provider: LedgerProvider) -> AddLedger:
    """Make a source at an address, in a workspace of its own."""

    def add(url: str) -> Source:
        workspace = new_workspace(database)
        credentials = Credentials(api_key=SecretStr("sk_test_ledger_key"), base_url=url)
        metadata = {"rate_limits": {"account": 5_000, "endpoint": 5_000}}
        create_configuration(database, keyring, workspace, NAME, credentials, is_test_mode=True, metadata=metadata)
        return find_source(database, f"{workspace.slug}:{NAME}")

    return add


@pytest.fixture
def source(add_ledger: AddLedger, ledger: Ledger) -> Source:
    return add_ledger(ledger.url)
