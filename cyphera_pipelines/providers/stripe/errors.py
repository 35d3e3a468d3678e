"""Stripe's errors in our words: plain, without secrets, and telling whether to try again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
from cyphera_pipelines.providers.http.failures import LONGEST_MESSAGE, Failure, seconds_in
from cyphera_pipelines.providers.http.json_text import NotJsonError, parse_json
from cyphera_pipelines.security.secrets import redact

PROVIDER = "Stripe"
_UNKNOWN_ADDRESS = "Unrecognized request URL"
_PERMISSION = re.compile(r"rak_[a-z_]+")


class UnprovenAbsenceError(ProviderError):
    """A 404 in Stripe's shape without its code for a missing object, as stand-ins for Stripe answer.

    It proves nothing of what was there; whoever only asks for an object may take it for one that is not.
    """


@dataclass(frozen=True)
class Refusal:
    """What an error response says, as far as it can be read."""

    message: str
    param: str | None = None
    code: str | None = None
    is_stripes: bool = False
    """Whether it is in Stripe's own shape, and not about an address that Stripe does not know."""

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
        is_stripes = _text(error.get("type")) is not None and not message.startswith(_UNKNOWN_ADDRESS)
        return cls(message, _text(error.get("param")), _text(error.get("code")), is_stripes)


def _text(value: Any) -> str | None:
    return value[:LONGEST_MESSAGE] if isinstance(value, str) else None


def rejected_response(
    refusal: Refusal,
    status: int,
    headers: Mapping[str, str],
    operation: str,
    entity: Entity | None = None,
    access: Literal["read", "write"] = "read",
) -> Failure:
    """Translate an error response.

    `entity` is what could be left out where the key may not do the operation, which needs this kind of `access`.
    """
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
            f"{what} and did not relent. See who else calls this account, or give the source lower rates."
        )
        pause = seconds_in(headers.get("Retry-After"))
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
        remedy = f"Give the key the permission {missing.group()}" if missing else f"Give the key {access} access"
        alternative = f", or leave {entity.value} out" if entity is not None else ""
        return Failure(
            PermissionDeniedError(
                f"The API key does not permit {operation}: {said}{request_id}. {remedy}{alternative}.",
                missing.group() if missing else None,
            )
        )
    if status == 409 or status >= 500:
        what = f"Stripe answers {operation} with an error of its own (HTTP {status}){request_id}."
        problem = ProviderUnavailableError(f"{what} Look at status.stripe.com.")
        after = seconds_in(headers.get("Retry-After"))
        return Failure(problem, RetryKind.PROVIDER_ERROR, retry_after=after, reason=what)
    if status in (400, 404) and refusal.param in ("starting_after", "ending_before"):
        return Failure(CursorLostError(f"Stripe no longer knows where to go on with {operation}: {said}."))
    if status == 404 and refusal.code != "resource_missing":
        # Not the object is missing but the address, as behind a proxy: no proof that anything is gone.
        no_address = (
            f"There is no address for {operation}: {said}{request_id}. "
            "Check that the configuration's base_url leads to Stripe's API."
        )
        return Failure(UnprovenAbsenceError(no_address) if refusal.is_stripes else ProviderError(no_address))
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
