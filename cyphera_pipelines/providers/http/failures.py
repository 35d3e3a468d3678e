"""What can become of one attempt at a request, but for what a provider says itself.

`provider` is always the provider's title, as in "Stripe".
"""

import ssl
from dataclasses import dataclass, replace

import requests
import urllib3

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.providers.base import (
    LimitMet,
    ProviderError,
    ProviderUnavailableError,
    ProviderUnreachableError,
    RetryKind,
)
from cyphera_pipelines.security.secrets import redact

LONGEST_RETRY_AFTER = 900.0
"""Seconds: who asks for a longer pause is asked again after that."""
LONGEST_MESSAGE = 500
"""Characters of what the provider says that are passed on."""
_NO_CONNECTION = (
    ssl.SSLCertVerificationError,
    requests.exceptions.ConnectTimeout,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
)
_TOO_SLOW = "gave no whole answer in time"


@dataclass(frozen=True)
class Failure:
    """Why one attempt failed.

    `error` is what is raised if it is not made again; `reason` is the part of it that is true before that. `retry` is
    None where trying again does not help. `retry_after` is the provider's wish in seconds. `limit_met` tells which of
    the provider's limits the request ran into, if it did. `may_have_arrived` is False where the request certainly did
    nothing: to a write that makes all the difference.
    """

    error: ProviderError
    retry: RetryKind | None = None
    retry_after: float | None = None
    limit_met: LimitMet | None = None
    reason: str = ""
    may_have_arrived: bool = True


def lost_connection(cause: BaseException | None, operation: str, host: str) -> Failure:
    """Translate a request that got no response."""
    if isinstance(cause, requests.exceptions.SSLError):
        problem = ProviderUnreachableError(f"The certificate of {host} cannot be verified; nothing was sent to it.")
        return Failure(problem, may_have_arrived=not _never_connected(cause))
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
    lost = _unreachable(host, reason, operation, RetryKind.CONNECTION_LOST)
    return replace(lost, may_have_arrived=not _never_connected(cause))


def _never_connected(cause: BaseException | None) -> bool:
    """Whether there was no connection on which a request could have gone out, as far as the error tells."""
    seen = [cause]
    for each in seen:
        if isinstance(each, _NO_CONNECTION):
            return True
        inner = (getattr(each, "reason", None), getattr(each, "original_error", None), *getattr(each, "args", ()))
        seen += [found for found in inner if isinstance(found, BaseException) and found not in seen]
    return False


def interrupted_body(error: Exception, operation: str, host: str, provider: str) -> Failure:
    """Translate a response that stopped before its end."""
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return late_answer(operation, host)
    return unreadable_body(operation, provider)


def late_answer(operation: str, host: str) -> Failure:
    """Translate an answer that was not there whole in time."""
    return _unreachable(host, _TOO_SLOW, operation, RetryKind.ANSWER_LATE, ErrorCode.TIMED_OUT)


def _unreachable(
    host: str, reason: str, operation: str, kind: RetryKind, code: ErrorCode = ErrorCode.PROVIDER_UNREACHABLE
) -> Failure:
    what = f"{operation[:1].upper()}{operation[1:]} failed: {host} {reason}."
    error = ProviderUnreachableError(f"{what} Check the network and the provider's status.", code=code)
    return Failure(error, kind, reason=what)


def unreadable_body(operation: str, provider: str) -> Failure:
    """Translate a response that is not complete JSON."""
    what = f"{provider}'s answer to {operation} was cut off or garbled."
    problem = UnreadableBodyError(what)
    return Failure(problem, RetryKind.BODY_UNREADABLE, reason=what)


class UnreadableBodyError(ProviderUnavailableError):
    """The response was not complete JSON, even after retries: a smaller page may get through."""

    code = ErrorCode.ANSWER_UNREADABLE


class AnswerTooLargeError(UnreadableBodyError):
    """The response is larger than we read: asking again does not help, asking for less may.

    `beginning` is what was read of its body.
    """

    def __init__(self, message: str, beginning: bytes) -> None:
        super().__init__(message)
        self.beginning = beginning


def too_large_answer(operation: str, mebibytes: int, beginning: bytes, provider: str) -> Failure:
    """Translate an answer of which more comes than we read."""
    what = f"{provider}'s answer to {operation} is larger than {mebibytes} MiB: it was not read."
    return Failure(AnswerTooLargeError(what, beginning))


def other_answer(operation: str, what: str, content_type: str | None, provider: str) -> Failure:
    """Translate a whole answer that is not what was asked for; `what` says what it is, as in "is no JSON"."""
    shown = redact(str(storable((content_type or "")[:LONGEST_MESSAGE]))) or "missing"
    return Failure(
        ProviderError(
            f"The answer to {operation} {what} (its content type is {shown}). "
            f"Check that the configuration's base_url leads to {provider}'s API."
        )
    )


def seconds_in(header: str | None) -> float | None:
    """The seconds that a header names, within `LONGEST_RETRY_AFTER`; None if it names none."""
    try:
        return min(LONGEST_RETRY_AFTER, max(0.0, float(header))) if header else None
    except ValueError:
        return None
