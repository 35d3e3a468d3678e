"""Operations at a sandbox, over real HTTP."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.providers.base import ClientOptions, Done, PreparedWrite
from cyphera_pipelines.providers.stripe.operations.account import StripeOperations
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines_tests.providers.conftest import ACCOUNT

Operate = Callable[..., StripeOperations]
_keys = itertools.count(1)


@pytest.fixture
def operate(running_sandbox: SandboxServer) -> Iterator[Operate]:
    """Make operations of one account: `operate(api_key=..., base_url=..., attempts=...)`."""
    made: list[StripeOperations] = []

    def make(api_key: str = ACCOUNT.api_key, base_url: str = "", **options: Any) -> StripeOperations:
        credentials = Credentials(api_key=SecretStr(api_key), base_url=base_url or running_sandbox.url)
        made.append(StripeOperations(credentials, ClientOptions(**options)))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def stripe(sandbox: SandboxServer, operate: Operate) -> StripeOperations:
    """Operations of the account as new."""
    return operate()


def new_key() -> str:
    """An idempotency key that no other write has."""
    return f"write-{next(_keys)}"


def done(operations: StripeOperations, write: PreparedWrite, key: str | None = None) -> Any:
    """Perform the write, which has to succeed, and return the Done: its item is of the kind that the test knows."""
    outcome = operations.perform(write, key or new_key())
    assert isinstance(outcome, Done), outcome
    return outcome
