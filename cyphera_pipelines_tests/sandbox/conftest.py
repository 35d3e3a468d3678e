"""Small accounts with some of everything, and ways to ask for them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import stripe

from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer

KEY = "sk_test_small"
ACCOUNT = "acct_small"


def small_account(**changes: Any) -> SandboxAccount:
    """An account of a few hundred objects, with long invoices and large subscriptions among them."""
    values: dict[str, Any] = {
        "api_key": KEY,
        "account_id": ACCOUNT,
        "name": "Small",
        "seed": 5,
        "customers": 130,
        "products": 24,
        "prices": 40,
        "subscriptions": 120,
        "invoices": 260,
        "long_invoice_share": 0.04,
        "large_subscription_share": 0.05,
    }
    return SandboxAccount(**{**values, **changes})


@pytest.fixture(scope="session")
def running_server() -> Iterator[SandboxServer]:
    with SandboxServer([]) as running:
        yield running


@pytest.fixture
def server(running_server: SandboxServer) -> SandboxServer:
    """A server that holds the small account, as new."""
    state = running_server.state
    for account in state.accounts:
        state.remove_account(account.account_id, account.livemode)
    state.put_account(small_account())
    state.set_options(SandboxOptions())
    state.counters.reset()
    state.watchers.clear()
    return running_server


def client_of(server: SandboxServer, key: str = KEY) -> stripe.StripeClient:
    """The real client, without retries of its own."""
    return stripe.StripeClient(key, base_addresses={"api": server.url}, max_network_retries=0)


@pytest.fixture
def client(server: SandboxServer) -> stripe.StripeClient:
    return client_of(server)


Get = Callable[..., requests.Response]


@pytest.fixture
def get(server: SandboxServer) -> Iterator[Get]:
    """Ask the server: `get("/v1/invoices", limit=3)`, with `key` for another key."""
    with requests.Session() as session:

        def ask(path: str, key: str = KEY, **parameters: Any) -> requests.Response:
            headers = {"Authorization": f"Bearer {key}"}
            return session.get(server.url + path, params=parameters, headers=headers, timeout=120)

        yield ask


def all_pages(get: Get, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """Every object of a list, page after page."""
    found: list[dict[str, Any]] = []
    while True:
        body = get(path, **parameters).json()
        found.extend(body["data"])
        if not body["has_more"]:
            return found
        parameters["starting_after"] = body["data"][-1]["id"]
