"""Stripe's errors in our words: plain, without secrets, and telling whether to try again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
import stripe
import urllib3

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.providers.base import (
    AccountNotOpenError,
    CredentialsRejectedError,
    CursorLostError,
    LimitMet,
    LimitScope,
    ObjectGoneError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    ProviderUnreachableError,
    RateLimitRemainsError,
    RefusedRequestError,
    RetryKind,
)
from cyphera_pipelines.providers.stripe.json_text import NotJsonError, parse_json
from cyphera_pipelines.security.secrets import redact

LONGEST_RETRY_AFTER = 900.0
"""Seconds: who asks for a longer pause is asked again after that."""
LONGEST_MESSAGE = 500
"""Characters of what the provider says that are passed on."""
_TOO_SLOW = "gave no whole answer in time"
_PERMISSION = re.compile(r"rak_[a-z_]+")


@dataclass(frozen=True)
class Failure:
    """Why one attempt failed.

    `error` is what is raised if it is not made again; `reason` is the part of it that is true before that. `retry` is
    None where trying again does not help. `retry_after` is the provider's wish in seconds. `limit_met` tells which of
    the provider's limits the request ran into, if it did.
    """

    error: ProviderError
    retry: RetryKind | None = None
    retry_after: float | None = None
    limit_met: LimitMet | None = None
    reason: str = ""


@dataclass(frozen=True)
class Refusal:
    """What an error response says, as far as it can be read."""

    message: str
    param: str | None = None
    code: str | None = None

    @classmethod
    def in_body(cls, body: bytes) -> "Refusal":
        """Whatever the body is: nothing in it can be relied on."""
        try:
            said = parse_json(body)
        except NotJsonError:
            return cls("it does not say why")
        error = said.get("error") if isinstance(said, dict) else None
        if not isinstance(error, dict):
            return cls(_text(error) or "it does not say why")
        message = _text(error.get("message")) or _text(error.get("type")) or "it does not say why"
        return cls(message, _text(error.get("param")), _text(error.get("code")))


def _text(value: Any) -> str | None:
    return value[:LONGEST_MESSAGE] if isinstance(value, str) else None


def rejected_response(
    refusal: Refusal, status: int, headers: Mapping[str, str], operation: str, entity: Entity | None = None
) -> Failure:
    """Translate an error response. `entity` is what could be left out where the key may not do the operation."""
    said = redact(str(storable(refusal.message))).strip(" .\n")
    named = headers.get("Request-Id")
    request_id = f" (request {redact(named[:LONGEST_MESSAGE])})" if named else ""
    if 300 <= status < 400:
        where = f"The provider redirects {operation} to another address, which is not followed."
        return Failure(ProviderUnreachableError(where))
    if status == 429:
        reason = redact(headers.get("Stripe-Rate-Limited-Reason", "rate limit"))
        what = f"Stripe limits the rate of {operation} ({reason})"
        remains = RateLimitRemainsError(
            f"{what} and did not relent. See who else calls this account, or give the source lower rates; the next "
            "sync continues from here."
        )
        pause = _seconds(headers.get("Retry-After"))
        limit = _limit_met(reason, refusal.code, pause or 0.0)
        return Failure(remains, RetryKind.RATE_LIMITED, pause, limit, f"{what}.")
    if status == 401:
        return Failure(
            CredentialsRejectedError(
                f"Stripe rejects the API key: {said}{request_id}. "
                "Check the key in the Stripe dashboard and enter it again."
            )
        )
    if status == 403 and refusal.code == "account_invalid":
        return Failure(
            AccountNotOpenError(
                f"Stripe does not let the API key read that account: {said}{request_id}. Check connected_account_id, "
                "and that the account is still connected to the platform whose key this is."
            )
        )
    if status == 403:
        missing = _PERMISSION.search(said)
        remedy = f"Give the key the permission {missing.group()}" if missing else "Give the key read access"
        alternative = f", or leave {entity.value} out" if entity is not None else ""
        return Failure(
            PermissionDeniedError(
                f"The API key does not permit {operation}: {said}{request_id}. {remedy}{alternative}.",
                missing.group() if missing else None,
            )
        )
    if status == 409 or status >= 500:
        what = f"Stripe answers {operation} with an error of its own (HTTP {status}){request_id}."
        problem = ProviderUnavailableError(f"{what} Look at status.stripe.com; the next sync continues from here.")
        after = _seconds(headers.get("Retry-After"))
        return Failure(problem, RetryKind.PROVIDER_ERROR, retry_after=after, reason=what)
    if status in (400, 404) and refusal.param in ("starting_after", "ending_before"):
        return Failure(CursorLostError(f"Stripe no longer knows where to go on with {operation}: {said}."))
    if status == 404 and refusal.code != "resource_missing":
        # Not the object is missing but the address, as behind a proxy: no proof that anything is gone.
        return Failure(
            ProviderError(
                f"There is no address for {operation}: {said}{request_id}. "
                "Check that the configuration's base_url leads to Stripe's API."
            )
        )
    if status == 404:
        return Failure(ObjectGoneError(f"Stripe has nothing for {operation}: {said}{request_id}."))
    return Failure(RefusedRequestError(f"Stripe refuses {operation} (HTTP {status}): {said}{request_id}."))


def _limit_met(reason: str, code: str | None, pause: float) -> LimitMet:
    """Which limit it was by `Stripe-Rate-Limited-Reason`: `global-rate`, `endpoint-concurrency`, `resource-specific`.

    An object that is locked by another request is refused without a reason.
    """
    if reason == "resource-specific" or code == "lock_timeout":
        return LimitMet(LimitScope.OBJECT)
    scope = LimitScope.ACCOUNT if reason.startswith("global") else LimitScope.ENDPOINT
    return LimitMet(scope, pause, of_concurrency=reason.endswith("concurrency"))


def lost_connection(error: stripe.APIConnectionError, operation: str, host: str) -> Failure:
    """Translate a request that got no response."""
    cause = error.__cause__
    if isinstance(cause, requests.exceptions.SSLError):
        problem = ProviderUnreachableError(f"The certificate of {host} cannot be verified; nothing was sent to it.")
        return Failure(problem)
    if isinstance(cause, requests.exceptions.ReadTimeout):
        return late_answer(operation, host)
    if isinstance(cause, requests.exceptions.Timeout):
        reason = "does not take connections in time"
    elif isinstance(cause, requests.exceptions.ConnectionError) and "Connection refused" in str(cause):
        reason = "refuses connections"
    elif isinstance(cause, requests.exceptions.ConnectionError) and "resolve" in str(cause):
        reason = "is an unknown host name"
    else:
        reason = "dropped the connection"
    return _unreachable(host, reason, operation, RetryKind.CONNECTION_LOST)


def interrupted_body(error: Exception, operation: str, host: str) -> Failure:
    """Translate a response that stopped before its end."""
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return late_answer(operation, host)
    return unreadable_body(operation)


def late_answer(operation: str, host: str) -> Failure:
    """Translate an answer that was not there whole in time."""
    return _unreachable(host, _TOO_SLOW, operation, RetryKind.ANSWER_LATE)


def _unreachable(host: str, reason: str, operation: str, kind: RetryKind) -> Failure:
    what = f"{operation[:1].upper()}{operation[1:]} failed: {host} {reason}."
    error = ProviderUnreachableError(f"{what} Check the network and the provider's status.")
    return Failure(error, kind, reason=what)


def unreadable_body(operation: str) -> Failure:
    """Translate a response that is not complete JSON."""
    what = f"Stripe's answer to {operation} was cut off or garbled."
    problem = UnreadableBodyError(f"{what} The next sync continues from here.")
    return Failure(problem, RetryKind.BODY_UNREADABLE, reason=what)


class UnreadableBodyError(ProviderUnavailableError):
    """The response was not complete JSON, even after retries: a smaller page may get through."""


class AnswerTooLargeError(UnreadableBodyError):
    """The response is larger than we read: asking again does not help, asking for less may.

    `beginning` is what was read of its body.
    """

    def __init__(self, message: str, beginning: bytes) -> None:
        super().__init__(message)
        self.beginning = beginning


def too_large_answer(operation: str, mebibytes: int, beginning: bytes) -> Failure:
    """Translate an answer of which more comes than we read."""
    what = f"Stripe's answer to {operation} is larger than {mebibytes} MiB: it was not read."
    return Failure(AnswerTooLargeError(what, beginning))


def other_answer(operation: str, what: str, content_type: str | None) -> Failure:
    """Translate a whole answer that is not what was asked for; `what` says what it is, as in "is no JSON"."""
    shown = redact(str(storable((content_type or "")[:LONGEST_MESSAGE]))) or "missing"
    return Failure(
        ProviderError(
            f"The answer to {operation} {what} (its content type is {shown}). "
            "Check that the configuration's base_url leads to Stripe's API."
        )
    )


def _seconds(header: str | None) -> float | None:
    try:
        return min(LONGEST_RETRY_AFTER, max(0.0, float(header))) if header else None
    except ValueError:
        return None
