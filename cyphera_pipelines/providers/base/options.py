"""How a client behaves towards its caller."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.providers.base.limits import Limits, Unlimited


class RetryKind(StrEnum):
    """Why a request has to be made again."""

    RATE_LIMITED = "rate_limited"
    CONNECTION_LOST = "connection_lost"
    ANSWER_LATE = "answer_late"
    PROVIDER_ERROR = "provider_error"
    BODY_UNREADABLE = "body_unreadable"


@dataclass(frozen=True)
class RequestNote:
    """What a client tells about a request that has to be made again after `wait` seconds."""

    kind: RetryKind
    operation: str
    reason: str
    wait: float
    attempt: int


@dataclass(frozen=True)
class Notice:
    """Something that a client noticed and the session's reader should know.

    `kind` names it as events are named, `code` says what kind of trouble it is.
    """

    kind: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    code: ErrorCode = ErrorCode.PROVIDER_NOTICE


@dataclass(frozen=True)
class ClientOptions:
    """How a client behaves towards its caller.

    `on_retry` hears of every request that has to be tried again, and `on_repeat` once it is: whoever is cancelled while
    it waits makes none again. `on_answer` hears of every one that was answered, be it with a refusal that lasts,
    `on_notice` of what else people should know.
    `is_cancelled` is asked before requests and while waiting, for an answer too. `attempts` bounds how often a failing
    request is made; rate limits are waited out for `rate_limit_patience` seconds. `answer_within` is how long, in
    seconds, an answer may take from the request to its last byte, and longer only while its bytes come quickly.
    """

    on_retry: Callable[[RequestNote], None] = lambda _note: None
    on_repeat: Callable[[RequestNote], None] = lambda _note: None
    on_answer: Callable[[], None] = lambda: None
    on_notice: Callable[[Notice], None] = lambda _notice: None
    is_cancelled: Callable[[], bool] = lambda: False
    limits: Limits = field(default_factory=Unlimited)
    attempts: int = 8
    rate_limit_patience: float = 900.0
    answer_within: float = 40.0
