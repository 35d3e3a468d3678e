"""A site, and clients that ask it over real HTTP."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.providers.base import ClientOptions
from cyphera_pipelines.providers.chargebee.client import ChargebeeClient
from cyphera_pipelines_tests.providers.chargebee.site import Site, running_site

Connect = Callable[..., ChargebeeClient]


@pytest.fixture
def site() -> Iterator[Site]:
    with running_site() as running:
        yield running


def credentials_of(site: Site, name: str = "acme-test", **options: str) -> Credentials:
    return Credentials(api_key=SecretStr("test_key_of_acme"), base_url=site.url, options={"site": name, **options})


@pytest.fixture
def connect(site: Site) -> Iterator[Connect]:
    """Make a client: `connect(attempts=..., source={"webhook_read_back": "yes"}, name="acme")`."""
    clients: list[ChargebeeClient] = []

    def make(name: str = "acme-test", source: dict[str, str] | None = None, **options: Any) -> ChargebeeClient:
        clients.append(ChargebeeClient(credentials_of(site, name, **(source or {})), ClientOptions(**options)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
