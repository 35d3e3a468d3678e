"""GET requests to Stripe: the `stripe` package's HTTP client, headers and error classes, and our own retries.

The package's retries leave out rate limits and cut-off bodies, and its request logging copies whole bodies: so a
request takes the package's parts one by one.
"""

import functools
import json
import random
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import requests
import stripe
import urllib3
from requests.cookies import RequestsCookieJar

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import (
    ClientOptions,
    ProviderUnavailableError,
    RequestAbandonedError,
    RequestNote,
    RetryKind,
)
from cyphera_pipelines.providers.stripe.access import account_options
from cyphera_pipelines.providers.stripe.breaker import Breaker
from cyphera_pipelines.providers.stripe.clock import ProviderClock
from cyphera_pipelines.providers.stripe.errors import (
    Failure,
    interrupted_body,
    lost_connection,
    rejected_response,
    unreadable_body,
)
from cyphera_pipelines.providers.stripe.patience import Patience

CONNECT_TIMEOUT = 10.0
POOLED_CONNECTIONS = 128
LONGEST_WAIT = 30.0
ATTEMPTS_AT_ONE_SIZE = 4
_SIGNS_OF_AN_OUTAGE = (RetryKind.CONNECTION_LOST, RetryKind.PROVIDER_ERROR)

Parameters = Mapping[str, str | int | tuple[str, ...]]


class StripeTransport:
    """Makes one account's requests. Safe to use from several threads; connections are shared by all accounts."""

    def __init__(
        self, credentials: Credentials, options: ClientOptions, connected_account_id: str | None = None
    ) -> None:
        api_key = credentials.api_key.get_secret_value()
        account = account_options(api_key, connected_account_id)
        base_url = (credentials.base_url or stripe.DEFAULT_API_BASE).rstrip("/")
        client = stripe.StripeClient(
            api_key,
            base_addresses={"api": base_url},
            http_client=shared_http_client(base_url, options.answer_within),
            max_network_retries=0,
        )
        self.clock = ProviderClock()
        self._breaker = Breaker()
        self._options = options
        self._base_url = base_url
        self._host = urlsplit(base_url).netloc
        self._requestor = client._requestor
        self._http = self._requestor._get_http_client()
        # The same for every request: the key, the account, the pinned API version, the user agent.
        self._headers = self._requestor.request_headers("get", "V1", {**account, "stripe_version": stripe.api_version})

    def get(
        self, path: str, parameters: Parameters, operation: str, *, endpoint: str, entity: Entity | None = None
    ) -> dict[str, Any]:
        """Return the response's JSON object.

        `endpoint` names the rate limit that the request falls under, `entity` what a sync could do without if the key
        may not make the request.

        Whatever may pass is tried again with jittered, growing waits: lost connections, cut-off bodies, 409, 5xx up
        to `options.attempts` times in all, rate limits for `options.rate_limit_patience` seconds. In an outage that
        another request has waited for in vain, lost connections and 5xx are not tried again. Raises ProviderError's
        kinds, and RequestAbandonedError if the sync is cancelled while it waits.
        """
        url = f"{self._base_url}{path}?{urlencode(parameters, doseq=True)}" if parameters else f"{self._base_url}{path}"
        options, answers_before, attempt = self._options, self._breaker.begin(), 0
        patience = Patience(options.attempts, ATTEMPTS_AT_ONE_SIZE, options.rate_limit_patience, LONGEST_WAIT)
        while True:
            attempt += 1
            answer = self._attempt(url, operation, endpoint, entity)
            if not isinstance(answer, Failure):
                self._breaker.answered()
                return answer
            wait = self._wait_after(answer, patience, answers_before)
            if answer.retry is None or wait is None:
                raise answer.error
            options.on_retry(RequestNote(answer.retry, operation, str(answer.error), wait, attempt))
            self._sleep(wait)

    def _attempt(self, url: str, operation: str, endpoint: str, entity: Entity | None) -> dict[str, Any] | Failure:
        self._sleep(self._options.limits.seconds_to_wait(endpoint))
        if self._options.is_cancelled():
            raise RequestAbandonedError("The sync was cancelled.")
        try:
            stream, status, headers = self._http.request_stream("get", url, self._headers)
            # In one piece: by itself, `requests` reads in pieces of 10 KB, 40 of them for a page of invoices.
            body = stream.read(decode_content=True)
        except stripe.APIConnectionError as error:
            return lost_connection(error, operation, self._host)
        except urllib3.exceptions.HTTPError as error:
            return interrupted_body(error, operation, self._host)
        self.clock.observe(headers.get("Date"))
        if not 200 <= status < 300:
            failure = self._rejection(body, status, headers, operation, entity)
            if failure.retry is RetryKind.RATE_LIMITED:
                self._options.limits.slow_down(endpoint, failure.scope, failure.retry_after or 0.0)
            return failure
        parsed = parse_json(body)
        return parsed if isinstance(parsed, dict) else unreadable_body(operation)

    def _rejection(
        self, body: Any, status: int, headers: Mapping[str, str], operation: str, entity: Entity | None
    ) -> Failure:
        try:
            self._requestor._interpret_response(body, status, headers, "V1")
        except stripe.StripeError as error:
            return rejected_response(error, status, headers, operation, entity)
        return unreadable_body(operation)

    def _wait_after(self, failure: Failure, patience: Patience, answers_before: int) -> float | None:
        """How many seconds to wait for the next attempt; None if the request is to be given up."""
        if failure.retry is None:
            if not isinstance(failure.error, ProviderUnavailableError):
                # A refusal is an answer: the provider is there.
                self._breaker.answered()
            return None
        longest = patience.wait_after(failure.retry, time.monotonic())
        if failure.retry in _SIGNS_OF_AN_OUTAGE:
            if longest is None:
                self._breaker.gave_up(answers_before)
            elif self._breaker.is_open:
                return None
        if longest is None:
            return None
        return max(failure.retry_after or 0.0, longest * random.uniform(0.5, 1.0))  # noqa: S311

    def _sleep(self, seconds: float) -> None:
        """Wait, but notice a cancellation within a fraction of a second."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._options.is_cancelled():
                raise RequestAbandonedError("The sync was cancelled.")
            time.sleep(min(left, 0.25))


@functools.lru_cache(maxsize=64)
def shared_http_client(base_url: str, answer_within: float) -> stripe.RequestsClient:
    """The process's one HTTP client for that address and patience: all accounts and threads share its connections.

    It keeps no cookies (they would travel from tenant to tenant), follows no redirects (a provider's address is the one
    that was checked), and reads the proxy settings once.
    """
    session = requests.Session()
    session.proxies = dict(requests.utils.get_environ_proxies(base_url))
    session.trust_env = False
    session.max_redirects = 0
    session.cookies = _NoCookies()
    adapter = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=POOLED_CONNECTIONS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return stripe.RequestsClient(timeout=(CONNECT_TIMEOUT, answer_within), session=session)


class _NoCookies(RequestsCookieJar):
    def set_cookie(self, cookie: Any, *args: Any, **kwargs: Any) -> None:
        """Forget it."""


def parse_json(body: bytes | str) -> Any:
    """The JSON value, or None if the body is not complete JSON.

    The standard library reads what orjson rightly refuses but Stripe could send: lone surrogates.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None
