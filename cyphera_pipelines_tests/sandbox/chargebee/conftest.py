"""A small site with some of everything, and ways to ask it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from cyphera_pipelines.sandbox import ChargebeeSite, SandboxOptions, SandboxServer

SITE = "small-test"
KEY = "test_small"

Ask = Callable[..., requests.Response]


def small_site(**changes: Any) -> ChargebeeSite:
    """A site of a few hundred objects."""
    values: dict[str, Any] = {
        "site": SITE,
        "api_key": KEY,
        "name": "Small",
        "seed": 5,
        "customers": 130,
        "products": 12,
        "prices": 36,
        "subscriptions": 120,
        "invoices": 260,
        "long_invoice_share": 0.04,
        "discount_share": 0.2,
        "credit_share": 0.1,
        "consolidated_share": 0.2,
    }
    return ChargebeeSite(**{**values, **changes})


@pytest.fixture(scope="session")
def running_server() -> Iterator[SandboxServer]:
    with SandboxServer([]) as running:
        yield running


@pytest.fixture
def server(running_server: SandboxServer) -> SandboxServer:
    """A server that holds the small site, as new."""
    state = running_server.state
    for account in state.accounts:
        state.remove_account(account.account_id, account.livemode)
    state.put_account(small_site())
    state.set_options(SandboxOptions())
    state.counters.reset()
    return running_server


@pytest.fixture
def ask(server: SandboxServer) -> Iterator[Ask]:
    """Ask the server: `ask("/customers", limit=3)`, with `key` for another key and `headers` for more of them."""
    with requests.Session() as session:

        def get(
            path: str, key: str = KEY, headers: dict[str, str] | None = None, **parameters: Any
        ) -> requests.Response:
            url = f"{server.url}/api/v2{path}"
            return session.get(url, params=parameters, auth=(key, ""), headers=headers, timeout=120)

        yield get


def all_pages(ask: Ask, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """Every object of a list, page after page."""
    found: list[dict[str, Any]] = []
    asked = {"limit": 100, **parameters}
    while True:
        response = ask(path, **asked)
        assert response.status_code == 200, response.text
        body = response.json()
        found.extend(next(iter(entry.values())) for entry in body["list"])
        if "next_offset" not in body:
            return found
        asked["offset"] = body["next_offset"]
