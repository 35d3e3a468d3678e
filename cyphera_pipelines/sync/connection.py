"""Testing a source's credentials: whether they work, for which account, and what they may read."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TypeVar

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import (
    AccountNotOpenError,
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
    UnusableAccessError,
)
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.store.accounts import record_account
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.pauses import end_pause_for_credentials
from cyphera_pipelines.store.sources import exists_still
from cyphera_pipelines.sync.client import check_allowed_address

# A person is waiting: fail soon, a sync will be more patient.
ATTEMPTS = 2
ANSWER_WITHIN = 8.0
RATE_LIMIT_PATIENCE = 5.0
# Seconds after which nothing is asked any more, and in which the report is there whatever the provider does.
BEGIN_WITHIN = 20.0
REPORT_WITHIN = 24.0

T = TypeVar("T")


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
    WRONG_ACCOUNT = "wrong_account"


_ERROR_CODES = {
    ProblemCode.WRONG_KEY: ErrorCode.CREDENTIALS_REJECTED,
    ProblemCode.WRONG_MODE: ErrorCode.ACCESS_UNUSABLE,
    ProblemCode.MISSING_PERMISSION: ErrorCode.PERMISSION_MISSING,
    ProblemCode.ACCOUNT_UNREADABLE: ErrorCode.PERMISSION_MISSING,
    ProblemCode.EVENTS_UNREADABLE: ErrorCode.CATCH_UP_IMPOSSIBLE,
    ProblemCode.NETWORK_FAILURE: ErrorCode.PROVIDER_UNREACHABLE,
    ProblemCode.PROVIDER_DOWN: ErrorCode.PROVIDER_UNAVAILABLE,
    ProblemCode.RATE_LIMITED: ErrorCode.RATE_LIMITED,
    ProblemCode.PROVIDER_ERROR: ErrorCode.PROVIDER_ERROR,
    ProblemCode.ADDRESS_NOT_ALLOWED: ErrorCode.ADDRESS_NOT_ALLOWED,
    ProblemCode.WRONG_ACCOUNT: ErrorCode.ACCOUNT_NOT_OPEN,
}
_HARMLESS = (ProblemCode.ACCOUNT_UNREADABLE, ProblemCode.EVENTS_UNREADABLE)


@dataclass(frozen=True)
class ConnectionProblem:
    """One thing that a connection test met, and in its message what to do about it."""

    code: ProblemCode
    message: str
    entity: Entity | None = None
    permission: str | None = None

    @property
    def error_code(self) -> ErrorCode:
        """The same kind of problem, by the word that everything else has for it."""
        return _ERROR_CODES[self.code]


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

    The account that they reach is recorded. What is wrong at the provider's side is told in the report. Takes less than
    half a minute. Raises DecryptionError.
    """
    report = try_connection(source, credentials_to_try(database, keyring, source))
    record_connection(database, source, report)
    return report


def credentials_to_try(database: Database, keyring: Keyring, source: Source) -> Credentials:
    """The source's credentials. Raises DecryptionError."""
    return read_credentials(database, keyring, Binding(source.workspace_id, source.configuration_id, source.provider))


def try_connection(source: Source, credentials: Credentials) -> ConnectionReport:
    """The part of `check_connection` that asks the provider: it needs no database, and ends within `REPORT_WITHIN`."""
    deadline = time.monotonic() + REPORT_WITHIN
    provider = find_provider(source.provider)
    if provider.is_test_mode(credentials) is (not source.is_test_mode):
        return ConnectionReport(None, problems=(_wrong_mode(source),))
    try:
        provider.check_access(credentials, source.connected_account_id)
        check_allowed_address(credentials)
    except UnusableAccessError as error:
        return ConnectionReport(None, problems=(ConnectionProblem(ProblemCode.WRONG_ACCOUNT, str(error)),))
    except InvalidInputError as error:
        return ConnectionReport(None, problems=(ConnectionProblem(ProblemCode.ADDRESS_NOT_ALLOWED, str(error)),))
    is_over = threading.Event()
    ask_until = time.monotonic() + BEGIN_WITHIN
    options = ClientOptions(
        attempts=ATTEMPTS,
        answer_within=ANSWER_WITHIN,
        rate_limit_patience=RATE_LIMIT_PATIENCE,
        is_cancelled=lambda: is_over.is_set() or time.monotonic() > ask_until,
    )
    client = provider.connect(credentials, options, source.connected_account_id)
    try:
        return _try(client, provider.entities, deadline)
    finally:
        # What is still being asked is given up.
        is_over.set()
        client.close()


def record_connection(database: Database, source: Source, report: ConnectionReport) -> None:
    """Note the account that was reached as the workspace's, unless the source was removed while it was asked.

    A source that rejected credentials had paused goes on if these work.
    """
    if report.readable:
        end_pause_for_credentials(database, source)
    account = report.account
    if account is not None and exists_still(database, source):
        livemode = not source.is_test_mode
        record_account(database, source.workspace_id, source.provider, account.id, account.name, livemode=livemode)


def _try(client: ProviderClient, entities: tuple[Entity, ...], deadline: float) -> ConnectionReport:
    account, problems = None, []
    try:
        account = _result(_begin(client.account), deadline)
    except PermissionDeniedError as error:
        problems.append(ConnectionProblem(ProblemCode.ACCOUNT_UNREADABLE, str(error), permission=error.permission))
    except ProviderError as error:
        # Whatever else is wrong would be as wrong for every entity.
        return ConnectionReport(None, problems=(_problem(error, None),))
    trials = [_begin(partial(client.check_readable, entity)) for entity in entities]
    trial_of_events = _begin(client.check_events_readable)
    found = [_problem_of_entity(trial, entity, deadline) for trial, entity in zip(trials, entities, strict=True)]
    readable = tuple(entity for entity, problem in zip(entities, found, strict=True) if problem is None)
    met = (*problems, *found, _problem_of_events(trial_of_events, deadline))
    return ConnectionReport(account, readable, tuple(problem for problem in met if problem is not None))


def _begin(ask: Callable[[], T]) -> Future[T]:
    """Ask in a thread that nobody has to wait for: it may hang in the system's resolver for longer than we may."""
    trial: Future[T] = Future()
    # The copy knows the secrets that no message may repeat.
    context = copy_context()

    def work() -> None:
        try:
            trial.set_result(context.run(ask))
        except BaseException as error:
            trial.set_exception(error)

    threading.Thread(target=work, name="connection-test", daemon=True).start()
    return trial


def _result(trial: Future[T], deadline: float) -> T:
    """What the trial returns or raises; RequestAbandonedError if that is not known in time."""
    wait([trial], max(0.0, deadline - time.monotonic()))
    if not trial.done():
        raise RequestAbandonedError("The provider took too long to answer.")
    return trial.result()


def _problem_of_entity(trial: Future[None], entity: Entity, deadline: float) -> ConnectionProblem | None:
    try:
        _result(trial, deadline)
    except ProviderError as error:
        return _problem(error, entity)
    return None


def _problem_of_events(trial: Future[None], deadline: float) -> ConnectionProblem | None:
    try:
        _result(trial, deadline)
    except PermissionDeniedError as error:
        message = f"{error} Changes cannot be followed, so every sync lists everything."
        return ConnectionProblem(ProblemCode.EVENTS_UNREADABLE, message, permission=error.permission)
    except ProviderError as error:
        return _problem(error, None)
    return None


def _problem(error: ProviderError, entity: Entity | None) -> ConnectionProblem:
    match error:
        case AccountNotOpenError():
            return ConnectionProblem(ProblemCode.WRONG_ACCOUNT, str(error), entity)
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
