"""What a provider is to the rest of the pipeline: a way to list its entities, and rows for its objects."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol, Self

from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.model.rows import MappedObject, UnmappableObject

BELIEVED_WITHIN = 300.0
"""Seconds by which a provider's time may differ from ours: one that is farther off is not gone by."""


class ProviderError(CypheraError):
    """The provider did not do what it was asked, or cannot be reached. The message holds no secret."""


class CredentialsRejectedError(ProviderError):
    """The key is wrong, expired or revoked: nothing will work with it, and trying again does not help."""


class AccountNotOpenError(CredentialsRejectedError):
    """The key works, but does not open the connected account that it is to be used for."""


class UnusableAccessError(ProviderError):
    """A key and a connected account that cannot go together: `field` names the one at fault, `remedy` what to do."""

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy


class PermissionDeniedError(ProviderError):
    """The key may not read this entity; others may still work. `permission` names what it lacks, if that is known."""

    def __init__(self, message: str, permission: str | None = None) -> None:
        super().__init__(message)
        self.permission = permission


class ProviderUnavailableError(ProviderError):
    """The provider cannot be reached, or kept failing after all retries."""


class ProviderUnreachableError(ProviderUnavailableError):
    """No answer came: the network or the address is at fault, or the provider is cut off."""


class RateLimitRemainsError(ProviderUnavailableError):
    """The provider went on refusing requests for coming too fast."""


class CursorLostError(ProviderError):
    """The object that a page was to start after is gone, so that the provider does not know where to go on."""


class RefusedRequestError(ProviderError):
    """The provider does not know what it was asked for, or does not want to: asking again does not help."""


class EndlessListError(ProviderError):
    """The pages of a list do not come to an end."""

    def __init__(self, operation: str, why: str) -> None:
        super().__init__(f"The provider's pages of {operation} do not come to an end: {why}. What came before is kept.")


class ObjectGoneError(ProviderError):
    """The object that was asked for no longer exists at the provider."""


class WebhookRejectedError(ProviderError):
    """What came in is no webhook of the provider's, or nobody can tell: its signature is wrong, or too old."""


class RequestAbandonedError(ProviderError):
    """The sync was told to stop while it waited to try again."""


NOT_ABOUT_ONE_OBJECT = (
    CredentialsRejectedError,
    PermissionDeniedError,
    RateLimitRemainsError,
    RequestAbandonedError,
)
"""Errors that would come of every other object too: asking for those instead does not help."""


@dataclass(frozen=True)
class ProviderAccount:
    """The account that a set of credentials reaches. `created` is None where the provider does not tell."""

    id: str
    name: str | None
    livemode: bool
    country: str | None = None
    default_currency: str | None = None
    created: datetime | None = None


@dataclass(frozen=True)
class AccountScope:
    """Which provider events are of a source's own account.

    `account_id` is None where only the provider can tell which account the key is of. `webhooks_name_account`: what the
    provider sends of this account names it, so that an event without a name is somebody else's.
    """

    account_id: str | None
    webhooks_name_account: bool

    def is_foreign(self, named: str | None, known_id: str | None, *, was_sent: bool) -> bool:
        """Whether an event is another account's: it names one that is not ours, or none where ours would be named.

        `known_id` is what is known of our account's id from earlier. `was_sent`: it came by itself; events that were
        asked for are our account's unless they name another one.
        """
        if named is None:
            return was_sent and self.webhooks_name_account
        return named != (self.account_id or known_id)


@dataclass(frozen=True)
class CreatedInterval:
    """The objects to list, by their time of creation: `[gte, lt)`, in seconds since 1970; None is no bound."""

    gte: int | None = None
    lt: int | None = None


@dataclass
class Page:
    """One page of a listing, newest objects first, with nested lists not yet completed.

    `version` is a lower bound, in seconds since 1970 on the provider's clock, on when the provider held these states.
    `incomplete` are objects that left `objects` because their nested lists could not be read to their end.
    """

    entity: Entity
    objects: list[dict[str, Any]]
    has_more: bool
    version: float
    requests: int = 1
    incomplete: list[UnmappableObject] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """What is known of an object that changed at `version`, in seconds since 1970 on the provider's clock.

    It is gone (`is_deleted`), or `snapshot` is its whole state, or it has to be fetched. `last_known` is what it was,
    as far as that is known, in case that it is or proves to be gone. `account` is the account in which it happened, if
    the provider event names one: objects of different accounts are different ones, whatever their ids.
    """

    entity: Entity
    object_id: str
    version: float
    snapshot: dict[str, Any] | None = None
    is_deleted: bool = False
    last_known: dict[str, Any] | None = None
    account: str | None = None


@dataclass(frozen=True)
class WebhookEvent:
    """A provider event that was sent to us.

    `entity` is what it is about; None if it is of no interest. `account` is the account that it names, if any.
    `problem` says why nobody can tell what it says, where that is so: then `id` is one of ours, `livemode` is None, and
    `payload` holds its beginning. `changes` are what it says of objects.
    """

    id: str
    kind: str
    livemode: bool | None
    entity: Entity | None
    payload: dict[str, Any]
    account: str | None = None
    problem: str | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class WebhookEndpoint:
    """An address that a provider sends events to, as the provider knows it.

    `secret`, with which it signs them, is told only as the endpoint is made. `api_version` is None where it follows the
    account's default.
    """

    id: str
    url: str
    is_enabled: bool
    api_version: str | None
    event_types: tuple[str, ...]
    secret: SecretStr | None = None


class WebhookEndpoints(Protocol):
    """The webhook endpoints of one account. The methods raise ProviderError's kinds, after retries."""

    event_types: tuple[str, ...]
    """The types of events that are asked for: just those that are of use."""
    api_version: str
    """The version of the provider's API that they are asked for in."""

    def find_all(self) -> list[WebhookEndpoint]:
        """All endpoints of the account, whoever made them."""
        ...

    def create(self, url: str) -> WebhookEndpoint:
        """Make one for our event types, in our version of the provider's API. Returns it with its secret."""
        ...

    def delete(self, endpoint_id: str) -> None:
        """Delete one: nothing more is sent to it."""
        ...


@dataclass
class MappedPage:
    """A page's objects as rows, and those that could not be mapped."""

    objects: list[MappedObject] = field(default_factory=list)
    unmappable: list[UnmappableObject] = field(default_factory=list)
    incomplete: list[UnmappableObject] = field(default_factory=list)
    """Objects that the provider could not tell whole this time: the next sync has to ask for them again."""
    cleaned: list[str] = field(default_factory=list)
    """Ids of objects from which characters were removed that Postgres cannot hold."""


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
    """Something that a client noticed and the session's reader should know; `kind` names it as events are named."""

    kind: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


class LimitScope(StrEnum):
    """Which limit a request ran into: the account's, the endpoint's, or one of the object that it was about."""

    ACCOUNT = "account"
    ENDPOINT = "endpoint"
    OBJECT = "object"


@dataclass(frozen=True)
class LimitMet:
    """What a provider said in refusing a request for its limits.

    It does not want to be asked for `pause` seconds. `of_concurrency`: too many requests were on their way at once;
    otherwise they came too fast.
    """

    scope: LimitScope = LimitScope.ENDPOINT
    pause: float = 0.0
    of_concurrency: bool = False


class Turn(Protocol):
    """One request's turn. A context manager: the request is made inside, after `seconds_left` has returned 0 once."""

    def seconds_left(self) -> float:
        """How long to wait before asking again; 0 if the request is to be made now."""
        ...

    def refused(self, met: LimitMet, /) -> None:
        """The provider refused the request for its limits."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


class Limits(Protocol):
    """Whoever keeps a client to the provider's rate limits."""

    def turn(self, endpoint: str, /) -> Turn:
        """A turn at the endpoint, to wait for."""
        ...


class Unlimited:
    """No limits at all: for a few requests."""

    def turn(self, _endpoint: str, /) -> Turn:
        """One that is due."""
        return _DueTurn()


class _DueTurn:
    def seconds_left(self) -> float:
        """At once."""
        return 0.0

    def refused(self, _met: LimitMet, /) -> None:
        """The retries wait anyway."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to give back."""


class ProviderClient(Protocol):
    """A connection to one account. Its methods may be called from several threads at once.

    They raise ProviderError and its kinds only. What can be retried has been retried before they raise.
    """

    def account(self) -> ProviderAccount:
        """Return the account that the credentials belong to: the cheapest proof that they work."""
        ...

    def check_readable(self, entity: Entity) -> None:
        """Return if the credentials may list the entity, raise PermissionDeniedError if they may not."""
        ...

    def check_events_readable(self) -> None:
        """Return if the credentials may read what changed, raise PermissionDeniedError if they may not."""
        ...

    def list_page(self, entity: Entity, *, interval: CreatedInterval, cursor: str | None, limit: int) -> Page:
        """Return one page of the entity, of every status, newest first."""
        ...

    def list_unlisted(self, entity: Entity) -> Iterator[Page] | None:
        """The entity's objects that `list_page` leaves out by design, page by page, nested lists not yet completed.

        None where there can be none, or they cannot be listed.
        """
        ...

    def changes(self, entities: Sequence[Entity], since: int) -> Iterator[list[Change]]:
        """Yield the objects that changed at or after `since`, in seconds since 1970: each once, a batch per request."""
        ...

    def changes_of(self, events: Sequence[Mapping[str, Any]]) -> list[Change]:
        """The objects that changed by these provider events: each once. Makes no request."""
        ...

    def fetch(self, change: Change) -> Page:
        """Return a page of the changed object as it is now, nested lists not yet completed; an empty one if it is gone.

        Its version is later than every change of the second in which the object changed.
        """
        ...

    def complete(self, page: Page) -> int:
        """Fetch whatever nested lists the page holds only the beginning of, in place. Return the requests made.

        An object whose lists the provider keeps failing to tell becomes one of the page's `incomplete`.
        """
        ...

    def map_page(self, page: Page) -> MappedPage:
        """Turn a completed page into rows. An object that cannot be mapped is reported, never dropped."""
        ...

    def close(self) -> None:
        """Give back what the client holds."""
        ...

    def now(self) -> float:
        """A lower bound on the provider's clock, in seconds since 1970: from then on changes may be missing."""
        ...


@dataclass(frozen=True)
class ClientOptions:
    """How a client behaves towards its caller.

    `on_retry` hears of every request that has to be tried again, `on_answer` of every one that was answered, be
    it with a refusal that lasts, `on_notice` of what else people should know.
    `is_cancelled` is asked before requests and while waiting, for an answer too. `attempts` bounds how often a failing
    request is made; rate limits are waited out for `rate_limit_patience` seconds. `answer_within` is how long, in
    seconds, an answer may take from the request to its last byte, and longer only while its bytes come quickly.
    """

    on_retry: Callable[[RequestNote], None] = lambda _note: None
    on_answer: Callable[[], None] = lambda: None
    on_notice: Callable[[Notice], None] = lambda _notice: None
    is_cancelled: Callable[[], bool] = lambda: False
    limits: Limits = field(default_factory=Unlimited)
    attempts: int = 8
    rate_limit_patience: float = 900.0
    answer_within: float = 40.0


class Provider(Protocol):
    """A registered implementation of a payment provider."""

    name: str
    title: str
    default_host: str
    entities: tuple[Entity, ...]
    mapping_version: int
    """Raised whenever other rows are made of the same objects: everything has to be listed anew then."""
    unlisted_with: dict[Entity, str]
    """Columns of entities' own tables: what has a value there may be missing in a list, and be there all the same."""

    def is_test_key(self, api_key: str) -> bool | None:
        """Whether the key belongs to the provider's test mode; None where it does not tell."""
        ...

    def check_access(self, api_key: str, connected_account_id: str | None) -> None:
        """Raise UnusableAccessError unless the key can be used for that connected account; None is the key's own."""
        ...

    def scope(self, api_key: str, connected_account_id: str | None) -> AccountScope:
        """Which provider events are of the account that the key and the connected account open. Makes no request."""
        ...

    def published_limits(self, api_key: str) -> RateLimits:
        """What the provider allows an account with such a key."""
        ...

    def open_webhook(self, body: bytes, headers: Mapping[str, str], secret: str) -> WebhookEvent:
        """Return the event in a webhook whose signature proves that the provider sent it, a short while ago.

        Raises WebhookRejectedError if it proves nothing. Whatever is signed is an event, though it may be unreadable.
        """
        ...

    def webhook_endpoints(
        self, credentials: Credentials, connected_account_id: str | None = None
    ) -> WebhookEndpoints | None:
        """The account's webhook endpoints; None where the provider lets nobody make them through its API.

        Makes no request. Raises UnusableAccessError.
        """
        ...

    def map_told(self, api_key: str, entity: Entity, objects: Sequence[Any], *, version: float) -> MappedPage:
        """Turn whole objects that a provider event told into rows, as the client of that key would."""
        ...

    def connect(
        self, credentials: Credentials, options: ClientOptions, connected_account_id: str | None = None
    ) -> ProviderClient:
        """Return a client for the credentials, used for that connected account. Makes no request.

        Raises UnusableAccessError.
        """
        ...
