"""Objects of the provider, and a sandbox with clients that ask it over real HTTP."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.providers.base import ClientOptions
from cyphera_pipelines.providers.stripe.client import StripeAccountClient
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer

ACCOUNT = SandboxAccount(
    api_key="sk_test_provider",
    account_id="acct_provider",
    seed=9,
    customers=40,
    products=15,
    prices=40,
    subscriptions=50,
    invoices=80,
    long_invoice_share=0.1,
    large_subscription_share=0.1,
)
Json = dict[str, Any]
Connect = Callable[..., StripeAccountClient]


@pytest.fixture(scope="package")
def running_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([]) as server:
        yield server


@pytest.fixture
def sandbox(running_sandbox: SandboxServer) -> SandboxServer:
    """The sandbox with the account as new."""
    running_sandbox.state.put_account(ACCOUNT)
    running_sandbox.state.set_options(SandboxOptions())
    running_sandbox.state.counters.reset()
    running_sandbox.state.watchers.clear()
    return running_sandbox


@pytest.fixture
def connect(running_sandbox: SandboxServer) -> Iterator[Connect]:
    """Make a client: `connect(api_key=..., base_url=..., attempts=...)`."""
    clients: list[StripeAccountClient] = []

    def make(api_key: str = ACCOUNT.api_key, base_url: str = "", **options: Any) -> StripeAccountClient:
        credentials = Credentials(api_key=SecretStr(api_key), base_url=base_url or running_sandbox.url)
        clients.append(StripeAccountClient(credentials, ClientOptions(**options)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
