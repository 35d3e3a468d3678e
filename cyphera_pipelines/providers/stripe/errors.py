"""Stripe's errors in our words: plain, without secrets, and telling whether to try again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import requests
import stripe
import urllib3

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import (
    AccountNotOpenError,
    CredentialsRejectedError,
    CursorLostError,
    LimitScope,
    ObjectGoneError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    ProviderUnreachableError,
    RateLimitRemainsError,
    RetryKind,
)
from cyphera_pipelines.security.secrets import redact

LONGEST_RETRY_AFTER = 900.0
"""Seconds: who asks for a longer pause is asked again after that."""
_TOO_SLOW = "gave no answer in time"
_PERMISSION = re.compile(r"rak_[a-z_]+")


@dataclass(frozen=True)
class Failure:
    """Why one attempt failed.

    `retry` is None where trying again does not help. `retry_after` is the provider's wish in seconds. `scope` tells
    which limit a rate limited request ran into.
    """

    error: ProviderError
    retry: RetryKind | None = None
    retry_after: float | None = None
    scope: LimitScope = LimitScope.ENDPOINT


def rejected_response(
    error: stripe.StripeError, status: int, headers: Mapping[str, str], operation: str, entity: Entity | None = None
) -> Failure:
    """Translate an error response. `entity` is what could be left out where the key may not do the operation."""
    said = redact(str(error.user_message or error)).strip()
    request_id = f" (request {redact(error.request_id)})" if error.request_id else ""
    if status == 429:
        reason = redact(headers.get("Stripe-Rate-Limited-Reason", "rate limit"))
        refusal = RateLimitRemainsError(
            f"Stripe limits the rate of {operation} ({reason}) and did not relent. "
            "See who else calls this account, or give the source lower rates; the next sync continues from here."
        )
        scope = LimitScope.ACCOUNT if reason.startswith("global") else LimitScope.ENDPOINT
        return Failure(refusal, RetryKind.RATE_LIMITED, _seconds(headers.get("Retry-After")), scope)
    if status == 401:
        return Failure(
            CredentialsRejectedError(
                f"Stripe rejects the API key: {said}{request_id}. "
                "Check the key in the Stripe dashboard and enter it again."
            )
        )
    # The package gives PermissionError no code.
    if status == 403 and getattr(error.error, "code", None) == "account_invalid":
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
                f"The API key may not do {operation}: {said}{request_id}. {remedy}{alternative}.",
                missing.group() if missing else None,
            )
        )
    if status == 409 or status >= 500:
        problem = ProviderUnavailableError(
            f"Stripe answers {operation} with an error of its own (HTTP {status}){request_id}. "
            "Look at status.stripe.com; the next sync continues from here."
        )
        return Failure(problem, RetryKind.PROVIDER_ERROR, retry_after=_seconds(headers.get("Retry-After")))
    if isinstance(error, stripe.InvalidRequestError) and error.param in ("starting_after", "ending_before"):
        return Failure(CursorLostError(f"Stripe no longer knows where to go on with {operation}: {said}"))
    if status == 404 and error.code != "resource_missing":
        # Not the object is missing but the address, as behind a proxy: no proof that anything is gone.
        return Failure(
            ProviderError(
                f"There is no address for {operation}: {said}{request_id}. "
                "Check that the configuration's base_url leads to Stripe's API."
            )
        )
    if status == 404:
        return Failure(ObjectGoneError(f"Stripe has nothing for {operation}: {said}{request_id}"))
    return Failure(ProviderError(f"Stripe refuses {operation} (HTTP {status}): {said}{request_id}"))


def lost_connection(error: stripe.APIConnectionError, operation: str, host: str) -> Failure:
    """Translate a request that got no response."""
    cause = error.__cause__
    if isinstance(cause, requests.exceptions.SSLError):
        problem = ProviderUnreachableError(f"The certificate of {host} cannot be verified; nothing was sent to it.")
        return Failure(problem)
    if isinstance(cause, requests.exceptions.TooManyRedirects):
        problem = ProviderUnreachableError(f"{host} redirects {operation} to another address, which is not followed.")
        return Failure(problem)
    if isinstance(cause, requests.exceptions.Timeout):
        reason = _TOO_SLOW
    elif isinstance(cause, requests.exceptions.ConnectionError) and "Connection refused" in str(cause):
        reason = "refuses connections"
    elif isinstance(cause, requests.exceptions.ConnectionError) and "resolve" in str(cause):
        reason = "is an unknown host name"
    else:
        reason = "dropped the connection"
    return _connection_lost(host, reason, operation)


def interrupted_body(error: urllib3.exceptions.HTTPError, operation: str, host: str) -> Failure:
    """Translate a response that stopped before its end."""
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return _connection_lost(host, _TOO_SLOW, operation)
    return unreadable_body(operation)


def _connection_lost(host: str, reason: str, operation: str) -> Failure:
    return Failure(
        ProviderUnreachableError(f"{host} {reason} during {operation}. Check the network and the provider's status."),
        RetryKind.CONNECTION_LOST,
    )


def unreadable_body(operation: str) -> Failure:
    """Translate a response that is not complete JSON."""
    problem = UnreadableBodyError(
        f"Stripe's answer to {operation} was cut off or garbled. The next sync continues from here."
    )
    return Failure(problem, RetryKind.BODY_UNREADABLE)


class UnreadableBodyError(ProviderUnavailableError):
    """The response was not complete JSON, even after retries: a smaller page may get through."""


def _seconds(header: str | None) -> float | None:
    try:
        return min(LONGEST_RETRY_AFTER, max(0.0, float(header))) if header else None
    except ValueError:
        return None
