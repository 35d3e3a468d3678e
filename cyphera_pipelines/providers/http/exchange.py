"""Requests to one account over HTTP, within its limits: what is read is tried again, what may change something is not.

A provider's own part is the headers, and what its refusals mean.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.providers.base import (
    ClientOptions,
    Notice,
    ProviderUnavailableError,
    RequestAbandonedError,
    RequestNote,
    RetryKind,
    Turn,
)
from cyphera_pipelines.providers.http.answers import (
    LARGEST_ANSWER,
    MEBIBYTE,
    Answer,
    TooLargeError,
    read_answer,
    read_body,
)
from cyphera_pipelines.providers.http.attempt import Attempt, Cut, attempting
from cyphera_pipelines.providers.http.breaker import Breaker
from cyphera_pipelines.providers.http.clock import ProviderClock
from cyphera_pipelines.providers.http.connections import CONNECT_TIMEOUT, shared_session
from cyphera_pipelines.providers.http.failures import (
    Failure,
    interrupted_body,
    late_answer,
    lost_connection,
    too_large_answer,
)
from cyphera_pipelines.providers.http.patience import Patience

LONGEST_WAIT = 30.0
ATTEMPTS_AT_ONE_SIZE = 4
ATTEMPTS_TOO_LATE = 3
_SIGNS_OF_AN_OUTAGE = (RetryKind.CONNECTION_LOST, RetryKind.ANSWER_LATE, RetryKind.PROVIDER_ERROR)

Refuse = Callable[[Answer, str, Entity | None], Failure]
"""What an answer outside of 200 to 299 means, for the operation and the entity that could be left out."""


@dataclass(frozen=True)
class Request:
    """One request, the same at each of its attempts. `path` has its query with it; `body` is a form's."""

    path: str
    method: str = "GET"
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Exchange:
    """Makes one account's requests. Safe to use from several threads; connections are shared by all accounts.

    `provider` is the provider's title.
    """

    def __init__(
        self, base_url: str, headers: Mapping[str, str], options: ClientOptions, *, provider: str, refuse: Refuse
    ) -> None:
        self.clock = ProviderClock(self._tell_of_clock)
        self._session = shared_session(base_url)
        self._base_url = base_url
        self._host = urlsplit(base_url).netloc
        self._headers = dict(headers)
        self._options = options
        self._provider = provider
        self._refuse = refuse
        self._breaker = Breaker()

    def read(self, request: Request, operation: str, *, endpoint: str, entity: Entity | None = None) -> dict[str, Any]:
        """Return the answer's JSON object.

        `endpoint` names the rate limit that the request falls under, `entity` what a sync could do without if the
        credentials may not make the request.

        Whatever may pass is tried again with jittered, growing waits: lost connections, cut-off bodies, 5xx up to
        `options.attempts` times in all, late answers `ATTEMPTS_TOO_LATE` times, rate limits for
        `options.rate_limit_patience` seconds. In an outage that another request has waited for in vain, lost
        connections, late answers and 5xx are not tried again. Raises ProviderError's kinds, and RequestAbandonedError
        within a second after the caller cancelled, whatever it waits for.
        """
        options, answers_before, attempt = self._options, self._breaker.begin(), 0
        patience, note = self._patience(), None
        while True:
            attempt += 1
            answer = self._attempt_to_read(request, operation, endpoint, entity, note)
            if not isinstance(answer, Failure):
                self._breaker.answered()
                options.on_answer()
                return answer
            wait = self._wait_after(answer, patience, answers_before)
            if answer.retry is None or wait is None:
                raise answer.error
            note = RequestNote(answer.retry, operation, answer.reason or str(answer.error), wait, attempt)
            options.on_retry(note)
            self._sleep(wait)

    def send(self, request: Request, operation: str, *, endpoint: str) -> Answer | Failure:
        """Send what may change something, once, and return the answer, whatever its status; or why there is none.

        A Failure means that the request may have arrived. What certainly did nothing is tried again: connections that
        are not made up to `options.attempts` times, rate limits for `options.rate_limit_patience` seconds; then it is
        raised, as ProviderError's kinds, and so is RequestAbandonedError if it is cancelled before it was sent.
        """
        options, patience, attempt, note = self._options, self._patience(), 0, None
        while True:
            attempt += 1
            answer = self._attempt_to_send(request, operation, endpoint, note)
            if not isinstance(answer, Failure) or answer.may_have_arrived:
                return answer
            longest = None if answer.retry is None else patience.wait_after(answer.retry, time.monotonic())
            if answer.retry is None or longest is None:
                raise answer.error
            wait = max(answer.retry_after or 0.0, _jittered(longest))
            note = RequestNote(answer.retry, operation, answer.reason or str(answer.error), wait, attempt)
            options.on_retry(note)
            self._sleep(wait)

    def _attempt_to_read(
        self, request: Request, operation: str, endpoint: str, entity: Entity | None, before: RequestNote | None
    ) -> dict[str, Any] | Failure:
        with self._options.limits.turn(endpoint) as turn:
            self._await_turn(turn, before)
            answer, cut = self._exchange(request, operation)
            if cut is Cut.CANCELLED:
                raise RequestAbandonedError("The request was cancelled.")
            if isinstance(answer, Failure):
                return answer
            if 200 <= answer.status < 300:
                return read_answer(answer.body, answer.headers.get("Content-Type"), operation, self._provider)
            failure = self._refuse(answer, operation, entity)
            if failure.limit_met is not None:
                turn.refused(failure.limit_met)
            return failure

    def _attempt_to_send(
        self, request: Request, operation: str, endpoint: str, before: RequestNote | None
    ) -> Answer | Failure:
        with self._options.limits.turn(endpoint, is_write=True) as turn:
            self._await_turn(turn, before)
            answer, _cut = self._exchange(request, operation)
            if isinstance(answer, Failure):
                return answer
            self._breaker.answered()
            self._options.on_answer()
            if answer.status != 429:
                return answer
            refused = self._refuse(answer, operation, None)
            if refused.limit_met is not None:
                turn.refused(refused.limit_met)
            return Failure(
                refused.error,
                refused.retry,
                refused.retry_after,
                refused.limit_met,
                refused.reason,
                may_have_arrived=False,
            )

    def _await_turn(self, turn: Turn, before: RequestNote | None) -> None:
        """Wait for the turn, and tell that a request is made again if `before` says of an attempt that failed."""
        while (wait := turn.seconds_left()) > 0:
            self._sleep(wait)
        if self._options.is_cancelled():
            raise RequestAbandonedError("The request was cancelled before it was sent.")
        if before is not None:
            self._options.on_repeat(before)

    def _exchange(self, request: Request, operation: str) -> tuple[Answer | Failure, Cut | None]:
        """Make the request once; why it was broken off comes beside the answer."""
        with attempting(self._options.is_cancelled, self._options.answer_within) as attempt:
            answer = self._ask(attempt, request, operation)
        if attempt.cut is not None:
            # Also what seems to be an answer: a head that was broken off looks like one that has ended.
            return late_answer(operation, self._host), attempt.cut
        if not isinstance(answer, Failure):
            self.clock.observe(answer.headers.get("Date"))
        return answer, None

    def _ask(self, attempt: Attempt, request: Request, operation: str) -> Answer | Failure:
        try:
            response = self._session.request(
                request.method,
                f"{self._base_url}{request.path}",
                headers={**self._headers, **request.headers},
                data=request.body,
                stream=True,
                timeout=(CONNECT_TIMEOUT, self._options.answer_within),
                allow_redirects=False,
            )
            body = read_body(response.raw, attempt)
        except requests.exceptions.RequestException as error:
            return lost_connection(error, operation, self._host)
        except TooLargeError as error:
            if 200 <= response.status_code < 300:
                mebibytes = LARGEST_ANSWER // MEBIBYTE
                return too_large_answer(operation, mebibytes, error.beginning, self._provider)
            body = b""
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return interrupted_body(error, operation, self._host, self._provider)
        return Answer(response.status_code, response.headers, body)

    def _patience(self) -> Patience:
        options = self._options
        return Patience(
            options.attempts, ATTEMPTS_AT_ONE_SIZE, ATTEMPTS_TOO_LATE, options.rate_limit_patience, LONGEST_WAIT
        )

    def _tell_of_clock(self, ahead: float) -> None:
        hours = f"{abs(ahead) / 3600:,.1f} hours {'ahead of' if ahead > 0 else 'behind'}"
        message = (
            f"A time that {self._host} gave is {hours} our own clock and is not gone by. If it is the provider's clock "
            "that is right, set this machine's."
        )
        details = {"seconds_ahead": round(ahead)}
        self._options.on_notice(Notice("provider_clock_off", message, details, ErrorCode.PROVIDER_CLOCK_OFF))

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
        return None if longest is None else max(failure.retry_after or 0.0, _jittered(longest))

    def _sleep(self, seconds: float) -> None:
        """Wait, but notice a cancellation within a fraction of a second."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._options.is_cancelled():
                raise RequestAbandonedError("The request was cancelled while it waited to be tried again.")
            time.sleep(min(left, 0.25))


def _jittered(longest: float) -> float:
    return longest * random.uniform(0.5, 1.0)  # noqa: S311
