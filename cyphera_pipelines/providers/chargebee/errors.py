"""Chargebee's errors in our words: plain, without secrets, and telling whether to try again."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

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
from cyphera_pipelines.providers.http.answers import Answer
from cyphera_pipelines.providers.http.failures import LONGEST_MESSAGE, Failure, seconds_in
from cyphera_pipelines.providers.http.json_text import NotJsonError, parse_json
from cyphera_pipelines.security.secrets import redact

PROVIDER = "Chargebee"
MINUTE = 60.0
"""Seconds within which Chargebee counts requests."""
WRONG_CATALOG = "configuration_incompatible"
_UNTOLD = "it does not say why"


@dataclass(frozen=True)
class Refusal:
    """What an error answer says, as far as it can be read."""

    message: str
    param: str | None = None
    code: str | None = None
    error_code: str | None = None

    @classmethod
    def in_body(cls, body: bytes) -> "Refusal":
        """Whatever the body is: nothing in it can be relied on, and behind a proxy it is a page for people."""
        try:
            said = parse_json(body)
        except NotJsonError:
            return cls(_UNTOLD)
        if not isinstance(said, dict):
            return cls(_UNTOLD)
        message = _text(said.get("message")) or _text(said.get("error_msg")) or _UNTOLD
        return cls(
            redact(str(storable(message))).strip(" .\n"),
            _text(said.get("param")),
            _text(said.get("api_error_code")),
            _text(said.get("error_code")),
        )


def _text(value: Any) -> str | None:
    return value[:LONGEST_MESSAGE] if isinstance(value, str) else None


def refuse(answer: Answer, operation: str, entity: Entity | None = None) -> Failure:
    """Translate an error answer. `entity` is what could be left out where the key may not do the operation."""
    refusal, status = Refusal.in_body(answer.body), answer.status
    said = refusal.message
    if 300 <= status < 400:
        where = f"The provider redirects {operation} to another address, which is not followed."
        return Failure(ProviderUnreachableError(where))
    if status == 429:
        return _limited(refusal, answer.headers, operation)
    if status == 401:
        problem = f"Chargebee rejects the API key: {said}. Check the key, and that it is one of this very site."
        return Failure(CredentialsRejectedError(problem))
    if refusal.code == "site_not_found" or (status == 403 and refusal.error_code == "api_disabled"):
        problem = f"Chargebee does not open the site: {said}. Check the option site, and that the site is in use."
        return Failure(AccountNotOpenError(problem))
    if status == 403:
        alternative = f", or leave {entity.value} out" if entity is not None else ""
        problem = f"The API key does not permit {operation}: {said}. Give a key that may read it{alternative}."
        return Failure(PermissionDeniedError(problem))
    if status >= 500:
        what = f"Chargebee answers {operation} with an error of its own (HTTP {status})."
        problem = f"{what} Look at status.chargebee.com."
        after = _seconds(answer.headers.get("Retry-After"))
        return Failure(ProviderUnavailableError(problem), RetryKind.PROVIDER_ERROR, retry_after=after, reason=what)
    if refusal.code == WRONG_CATALOG:
        return Failure(AccountNotOpenError(f"Chargebee refuses {operation}: {said}. {CATALOG_REMEDY}"))
    if status == 400 and refusal.param == "offset":
        return Failure(CursorLostError(f"Chargebee no longer knows where to go on with {operation}: {said}."))
    if status == 404 and refusal.code == "resource_not_found":
        return Failure(ObjectGoneError(f"Chargebee has nothing for {operation}: {said}."))
    if status == 404:
        # Not the object is missing but the address, as behind a proxy: no proof that anything is gone.
        problem = (
            f"There is no address for {operation}: {said}. Check the option site, and that the configuration's "
            "base_url, if it has one, leads to Chargebee's API."
        )
        return Failure(ProviderError(problem))
    return Failure(RefusedRequestError(f"Chargebee refuses {operation} (HTTP {status}): {said}."))


CATALOG_REMEDY = (
    "Product Catalog 1.0 (plans and addons) is not read here, nor is a site that holds both catalogs: "
    "have Chargebee move the site to Product Catalog 2.0 (items and item prices)."
)


def _limited(refusal: Refusal, headers: Mapping[str, str], operation: str) -> Failure:
    what = f"Chargebee limits the rate of {operation}"
    remains = RateLimitRemainsError(
        f"{what} and did not relent. See who else calls this site, or give the source lower rates."
    )
    if refusal.code == "lock_timeout":
        return Failure(remains, RetryKind.RATE_LIMITED, None, LimitMet(LimitScope.OBJECT), f"{what}.")
    named = _seconds(headers.get("Retry-After"))
    is_of_concurrency = "concurren" in refusal.message.lower()
    # Without a word on it, whatever was asked too much counts until the minute is over.
    pause = named if named is not None else (1.0 if is_of_concurrency else MINUTE - time.time() % MINUTE)
    met = LimitMet(LimitScope.ACCOUNT, pause, of_concurrency=is_of_concurrency)
    return Failure(remains, RetryKind.RATE_LIMITED, pause, met, f"{what}.")


def _seconds(header: str | None) -> float | None:
    """How long to wait, which is told in seconds or as a date."""
    seconds = seconds_in(header)
    if seconds is not None or not header:
        return seconds
    try:
        return seconds_in(str(parsedate_to_datetime(header).timestamp() - time.time()))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
