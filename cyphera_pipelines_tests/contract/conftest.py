"""Every case of the contract runs against each provider's sandbox."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.providers.base import ClientOptions, ProviderClient
from cyphera_pipelines.sandbox import SandboxOptions, SandboxServer
from cyphera_pipelines_tests.contract.subject import Subject
from cyphera_pipelines_tests.contract.subjects import SUBJECTS

Connect = Callable[..., ProviderClient]


@pytest.fixture(scope="package")
def running_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([]) as server:
        yield server


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest, running_sandbox: SandboxServer) -> Subject:
    """One account of each provider in turn, as new, at a sandbox that behaves."""
    running_sandbox.state.set_options(SandboxOptions())
    running_sandbox.state.watchers.clear()
    running_sandbox.state.counters.reset()
    made: Subject = SUBJECTS[request.param](running_sandbox)
    return made


@pytest.fixture
def connect(subject: Subject) -> Iterator[Connect]:
    """Make a client of the subject's account: `connect(credentials=..., attempts=...)`."""
    clients = list[ProviderClient]()

    def make(credentials: Credentials | None = None, **options: Any) -> ProviderClient:
        client = subject.provider.connect(credentials or subject.credentials, ClientOptions(**options))
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect) -> ProviderClient:
    return connect()
