"""Answers kept by their idempotency keys: the same request under the same key happens once."""

from dataclasses import dataclass, field

from cyphera_pipelines.sandbox.stripe.errors import ProviderError

MOST_KEPT = 100_000


@dataclass
class KeptAnswer:
    """What was answered at the first time: `request` is what was asked, `status` None while it is being worked on."""

    request: tuple[str, str, bytes]
    status: int | None = None
    body: bytes = b""
    request_id: str = ""


@dataclass
class IdempotencyKeys:
    """The keys of one account. The data set's lock guards them."""

    _answers: dict[str, KeptAnswer] = field(default_factory=dict)

    def is_known(self, key: str) -> bool:
        """Whether there was a request under the key."""
        return key in self._answers

    def known(self, key: str, request: tuple[str, str, bytes]) -> KeptAnswer:
        """Return what was answered to the first request under the key.

        Raises ProviderError: 400 if this is another request, 409 while the first is being worked on.
        """
        kept = self._answers[key]
        if kept.request != request:
            raise ProviderError(
                400,
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request.",
                type="idempotency_error",
            )
        if kept.status is None:
            raise ProviderError(
                409,
                f"There is currently another in-progress request using this Idempotent Key: {key}. It may be the "
                "same request, so please try again later.",
                type="idempotency_error",
                code="idempotency_key_in_use",
            )
        return kept

    def begin(self, key: str, request: tuple[str, str, bytes]) -> None:
        """From now on the request is being worked on."""
        while len(self._answers) >= MOST_KEPT:
            self._answers.pop(next(iter(self._answers)))
        self._answers[key] = KeptAnswer(request)

    def end(self, key: str, status: int, body: bytes, request_id: str) -> None:
        """Keep the answer."""
        kept = self._answers[key]
        kept.status, kept.body, kept.request_id = status, body, request_id

    def forget_unfinished(self, key: str) -> None:
        """Keep no answer where there is none: the request was refused before anything was done."""
        kept = self._answers.get(key)
        if kept is not None and kept.status is None:
            del self._answers[key]
