"""What was answered under an idempotency key, so that the same request is not done twice."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from cyphera_pipelines.sandbox.chargebee.errors import other_request_under_key, wrong_value

HEADER = b"chargebee-idempotency-key"
REPLAYED = "chargebee-idempotency-replayed"
LONGEST_KEY = 100
KEPT_SECONDS = 30 * 60
MOST_KEPT = 10_000


class Answered(NamedTuple):
    """An answer: its status and body, and whether it was given before."""

    status: int
    body: bytes
    is_replay: bool = False


class AnsweredKeys:
    """The answers of one site by their keys, for half an hour. The site's lock guards it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers: dict[str, tuple[Any, Answered, float]] = {}

    def once(self, key: str | None, request: Any, answer: Callable[[], Answered]) -> Answered:
        """Answer a request; one that came before under its key is answered as it was then.

        Raises ChargebeeError (422) if another request came under the key, (400) for a key that is too long.
        """
        if key is None:
            return answer()
        if len(key) > LONGEST_KEY:
            raise wrong_value("chargebee-idempotency-key", f"cannot be longer than {LONGEST_KEY} characters")
        self._forget_old_ones()
        known = self._answers.get(key)
        if known is not None:
            if known[0] != request:
                raise other_request_under_key()
            return known[1]._replace(is_replay=True)
        given = answer()
        self._answers[key] = (request, given, self._clock())
        return given

    def _forget_old_ones(self) -> None:
        before = self._clock() - KEPT_SECONDS
        while self._answers:
            oldest = next(iter(self._answers))
            if self._answers[oldest][2] > before and len(self._answers) < MOST_KEPT:
                break
            del self._answers[oldest]
