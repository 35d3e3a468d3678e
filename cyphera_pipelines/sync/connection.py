"""Testing a source's credentials: whether they work, for which account, and what they may read."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from enum import StrEnum

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import (
    ClientOptions,
    CredentialsRejectedError,
    PermissionDeniedError,
    ProviderAccount,
    ProviderClient,
    ProviderError,
    ProviderUnavailableError,
    ProviderUnreachableError,
    RateLimitRemainsError,
    RequestAbandonedError,
)
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.store.accounts import record_account
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.client import check_allowed_address

# A person is waiting: fail soon, a sync will be more patient.
ATTEMPTS = 2
ANSWER_WITHIN = 8.0
RATE_LIMIT_PATIENCE = 5.0
# No request begins later than this many seconds after the test did.
BEGIN_WITHIN = 20.0


class ProblemCode(StrEnum):
    """What kind of problem a connection test met."""

    WRONG_KEY = "wrong_key"
    WRONG_MODE = "wrong_mode"
    MISSING_PERMISSION = "missing_permission"
    ACCOUNT_UNREADABLE = "account_unreadable"
    EVENTS_UNREADABLE = "events_unreadable"
    NETWORK_FAILURE = "network_failure"
    PROVIDER_DOWN = "provider_down"
    RATE_LIMITED = "rate_limited"
    PROVIDER_ERROR = "provider_error"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"


_HARMLESS = (ProblemCode.ACCOUNT_UNREADABLE, ProblemCode.EVENTS_UNREADABLE)


@dataclass(frozen=True)
class ConnectionProblem:
    """One thing that a connection test met, and in its message what to do about it."""

    code: ProblemCode
    message: str
    entity: Entity | None = None
    permission: str | None = None


@dataclass(frozen=True)
class ConnectionReport:
    """What a connection test found. `account` is None if it was not reached, or the key may not read it."""

    account: ProviderAccount | None
    readable: tuple[Entity, ...] = ()
    problems: tuple[ConnectionProblem, ...] = ()

    @property
    def success(self) -> bool:
        """Whether a sync would get all entities.

        It needs neither the account, which restricted keys seldom may read, nor provider events: it lists everything
        without them.
        """
        return all(problem.code in _HARMLESS for problem in self.problems)

    @property
    def unreadable(self) -> dict[Entity, str]:
        """The reason for each entity that the key may not read."""
        return {problem.entity: problem.message for problem in self.problems if problem.entity is not None}


def check_connection(database: Database, keyring: Keyring, source: Source) -> ConnectionReport:
    """Try the source's credentials on the account, on every entity and on provider events.

    The account that they reach is recorded. What is wrong at the provider's side is told in the report. Takes half a
    minute at most. Raises DecryptionError.
    """
    provider = find_provider(source.provider)
    binding = Binding(source.workspace_id, source.configuration_id, source.provider)
    credentials = read_credentials(database, keyring, binding)
    if provider.is_test_key(credentials.api_key.get_secret_value()) is not source.is_test_mode:
        return ConnectionReport(None, problems=(_wrong_mode(source),))
    try:
        check_allowed_address(credentials)
    except InvalidInputError as error:
        return ConnectionReport(None, problems=(ConnectionProblem(ProblemCode.ADDRESS_NOT_ALLOWED, str(error)),))
    deadline = time.monotonic() + BEGIN_WITHIN
    options = ClientOptions(
        attempts=ATTEMPTS,
        answer_within=ANSWER_WITHIN,
        rate_limit_patience=RATE_LIMIT_PATIENCE,
        is_cancelled=lambda: time.monotonic() > deadline,
    )
    client = provider.connect(credentials, options)
    try:
        report = _try(client, provider.entities)
    finally:
        client.close()
    account = report.account
    if account is not None:
        record_account(
            database, source.workspace_id, source.provider, account.id, account.name, livemode=account.livemode
        )
    return report


def _try(client: ProviderClient, entities: tuple[Entity, ...]) -> ConnectionReport:
    account, problems = None, []
    try:
        account = client.account()
    except PermissionDeniedError as error:
        problems.append(ConnectionProblem(ProblemCode.ACCOUNT_UNREADABLE, str(error), permission=error.permission))
    except ProviderError as error:
        # Whatever else is wrong would be as wrong for every entity.
        return ConnectionReport(None, problems=(_problem(error, None),))
    with ThreadPoolExecutor(len(entities) + 1, thread_name_prefix="connection-test") as threads:
        # Each in a copy of this context, which knows the secrets that no message may repeat.
        trials = [threads.submit(copy_context().run, _try_entity, client, entity) for entity in entities]
        trial_of_events = threads.submit(copy_context().run, _try_events, client)
    found = [trial.result() for trial in trials]
    readable = tuple(entity for entity, problem in zip(entities, found, strict=True) if problem is None)
    met = (*problems, *found, trial_of_events.result())
    return ConnectionReport(account, readable, tuple(problem for problem in met if problem is not None))


def _try_entity(client: ProviderClient, entity: Entity) -> ConnectionProblem | None:
    try:
        client.check_readable(entity)
    except ProviderError as error:
        return _problem(error, entity)
    return None


def _try_events(client: ProviderClient) -> ConnectionProblem | None:
    try:
        client.check_events_readable()
    except PermissionDeniedError as error:
        message = f"{error} Changes cannot be followed, so every sync lists everything."
        return ConnectionProblem(ProblemCode.EVENTS_UNREADABLE, message, permission=error.permission)
    except ProviderError as error:
        return _problem(error, None)
    return None


def _problem(error: ProviderError, entity: Entity | None) -> ConnectionProblem:
    match error:
        case CredentialsRejectedError():
            return ConnectionProblem(ProblemCode.WRONG_KEY, str(error), entity)
        case PermissionDeniedError():
            return ConnectionProblem(ProblemCode.MISSING_PERMISSION, str(error), entity, error.permission)
        case ProviderUnreachableError():
            return ConnectionProblem(ProblemCode.NETWORK_FAILURE, str(error), entity)
        case RateLimitRemainsError():
            return ConnectionProblem(ProblemCode.RATE_LIMITED, str(error), entity)
        case ProviderUnavailableError():
            return ConnectionProblem(ProblemCode.PROVIDER_DOWN, str(error), entity)
        case RequestAbandonedError():
            message = "The provider took too long to answer. Check its status page, and test again."
            return ConnectionProblem(ProblemCode.PROVIDER_DOWN, message, entity)
        case _:
            return ConnectionProblem(ProblemCode.PROVIDER_ERROR, str(error), entity)


def _wrong_mode(source: Source) -> ConnectionProblem:
    key, configured = ("live", "test") if source.is_test_mode else ("test", "live")
    message = f"The API key is a {key} mode key, but the configuration is for {configured} mode. Change one of them."
    return ConnectionProblem(ProblemCode.WRONG_MODE, message)
