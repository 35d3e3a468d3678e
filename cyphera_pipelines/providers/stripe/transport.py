"""GET requests to Stripe: the `stripe` package's HTTP client, headers and error classes, and our own retries.

The package's retries leave out rate limits and cut-off bodies, and its request logging copies whole bodies: so a
request takes the package's parts one by one.
"""

import random
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import stripe
import urllib3

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import (
    ClientOptions,
    Notice,
    ProviderUnavailableError,
    RequestAbandonedError,
    RequestNote,
    RetryKind,
)
from cyphera_pipelines.providers.stripe.access import account_options
from cyphera_pipelines.providers.stripe.answers import (
    LARGEST_ANSWER,
    MEBIBYTE,
    Answer,
    TooLargeError,
    read_answer,
    read_body,
)
from cyphera_pipelines.providers.stripe.attempt import Attempt, Cut, attempting
from cyphera_pipelines.providers.stripe.breaker import Breaker
from cyphera_pipelines.providers.stripe.clock import ProviderClock
from cyphera_pipelines.providers.stripe.connections import shared_http_client
from cyphera_pipelines.providers.stripe.errors import (
    Failure,
    Refusal,
    interrupted_body,
    late_answer,
    lost_connection,
    rejected_response,
    too_large_answer,
)
from cyphera_pipelines.providers.stripe.patience import Patience

LONGEST_WAIT = 30.0
ATTEMPTS_AT_ONE_SIZE = 4
ATTEMPTS_TOO_LATE = 3
# It would make a file in the user's home, and tell Stripe of our latencies.
stripe.enable_telemetry = False
_SIGNS_OF_AN_OUTAGE = (RetryKind.CONNECTION_LOST, RetryKind.ANSWER_LATE, RetryKind.PROVIDER_ERROR)

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
        self.clock = ProviderClock(self._tell_of_clock)
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
        to `options.attempts` times in all, late answers `ATTEMPTS_TOO_LATE` times, rate limits for
        `options.rate_limit_patience` seconds. In an outage that another request has waited for in vain, lost
        connections, late answers and 5xx are not tried again. Raises ProviderError's kinds, and RequestAbandonedError
        within a second after the sync is cancelled, whatever it waits for.
        """
        url = f"{self._base_url}{path}?{urlencode(parameters, doseq=True)}" if parameters else f"{self._base_url}{path}"
        options, answers_before, attempt = self._options, self._breaker.begin(), 0
        patience = Patience(
            options.attempts, ATTEMPTS_AT_ONE_SIZE, ATTEMPTS_TOO_LATE, options.rate_limit_patience, LONGEST_WAIT
        )
        while True:
            attempt += 1
            answer = self._attempt(url, operation, endpoint, entity)
            if not isinstance(answer, Failure):
                self._breaker.answered()
                options.on_answer()
                return answer
            wait = self._wait_after(answer, patience, answers_before)
            if answer.retry is None or wait is None:
                raise answer.error
            options.on_retry(RequestNote(answer.retry, operation, answer.reason or str(answer.error), wait, attempt))
            self._sleep(wait)

    def _attempt(self, url: str, operation: str, endpoint: str, entity: Entity | None) -> dict[str, Any] | Failure:
        with self._options.limits.turn(endpoint) as turn:
            while (wait := turn.seconds_left()) > 0:
                self._sleep(wait)
            if self._options.is_cancelled():
                raise RequestAbandonedError("The sync was cancelled.")
            answer = self._answer(url, operation, entity)
            if isinstance(answer, Failure) and answer.limit_met is not None:
                turn.refused(answer.limit_met)
            return answer

    def _answer(self, url: str, operation: str, entity: Entity | None) -> dict[str, Any] | Failure:
        with attempting(self._options.is_cancelled, self._options.answer_within) as attempt:
            answer = self._ask(attempt, url, operation)
        if attempt.cut is Cut.CANCELLED:
            raise RequestAbandonedError("The sync was cancelled.")
        if attempt.cut is Cut.TOO_LATE:
            # Also what seems to be an answer: a head that was broken off looks like one that has ended.
            return late_answer(operation, self._host)
        if isinstance(answer, Failure):
            return answer
        self.clock.observe(answer.headers.get("Date"))
        if 200 <= answer.status < 300:
            return read_answer(answer.body, answer.headers.get("Content-Type"), operation)
        return rejected_response(Refusal.in_body(answer.body), answer.status, answer.headers, operation, entity)

    def _ask(self, attempt: Attempt, url: str, operation: str) -> Answer | Failure:
        try:
            stream, status, headers = self._http.request_stream("get", url, self._headers)
            body = read_body(stream, attempt)
        except stripe.APIConnectionError as error:
            return lost_connection(error, operation, self._host)
        except TooLargeError as error:
            if 200 <= status < 300:
                return too_large_answer(operation, LARGEST_ANSWER // MEBIBYTE, error.beginning)
            body = b""
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return interrupted_body(error, operation, self._host)
        return Answer(status, headers, body)

    def _tell_of_clock(self, ahead: float) -> None:
        hours = f"{abs(ahead) / 3600:,.1f} hours {'ahead of' if ahead > 0 else 'behind'}"
        message = (
            f"A time that {self._host} gave is {hours} our own clock and is not gone by. If it is the provider's clock "
            "that is right, set this machine's."
        )
        self._options.on_notice(Notice("provider_clock_off", message, {"seconds_ahead": round(ahead)}))

    def _wait_after(self, failure: Failure, patience: Patience, answers_before: int) -> float | None:
        """How many seconds to wait for the next attempt; None if the request is to be given up."""
        if failure.retry is None:
            if not isinstance(failure.error, ProviderUnavailableError):
                # A refusal is an answer: the provider is there.
                self._breaker.answered()
                self._options.on_answer()
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
