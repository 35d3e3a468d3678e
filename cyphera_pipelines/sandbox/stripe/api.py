"""The part of the server that a client takes for Stripe: everything under `/v1`."""

import base64
import binascii
from dataclasses import dataclass

from starlette.types import Scope

from cyphera_pipelines.sandbox.behaviour import Behaviour
from cyphera_pipelines.sandbox.limits import LimitReason
from cyphera_pipelines.sandbox.options import Fault, FaultKind
from cyphera_pipelines.sandbox.provider_api import Call, ProviderApi, Reply, header_of
from cyphera_pipelines.sandbox.serialization import to_bytes
from cyphera_pipelines.sandbox.stripe.accounts import API_VERSION
from cyphera_pipelines.sandbox.stripe.answers import answer
from cyphera_pipelines.sandbox.stripe.dataset import Dataset
from cyphera_pipelines.sandbox.stripe.endpoints import PERMISSIONS, Endpoint, find_endpoint
from cyphera_pipelines.sandbox.stripe.errors import (
    ProviderError,
    invalid_api_key,
    missing_permission,
    no_api_key,
    rate_limited,
    server_error,
    unrecognized_url,
)
from cyphera_pipelines.sandbox.stripe.hosted import StripeAccounts
from cyphera_pipelines.sandbox.stripe.webhooks.requests import answer_write
from cyphera_pipelines.sandbox.stripe.writes.requests import Asked, answer_deed, begin, forget

_ACCOUNT_HEADERS = (b"stripe-account", b"stripe-context")


@dataclass(slots=True)
class StripeCall(Call):
    """A request as Stripe reads it: its endpoint, its key, what that opens, or why it opens nothing."""

    endpoint: Endpoint | None
    api_key: str | None
    dataset: Dataset | None
    refusal: ProviderError | None
    asked: Asked | None = None
    is_first: bool = True


class StripeApi(ProviderApi[StripeCall]):
    """An ASGI application."""

    def __init__(self, behaviour: Behaviour, accounts: StripeAccounts) -> None:
        super().__init__(behaviour)
        self._accounts = accounts

    def read(self, scope: Scope) -> StripeCall:
        """See `ProviderApi`."""
        endpoint = find_endpoint(scope["method"], scope["path"])
        api_key = api_key_of(scope)
        dataset, refusal = self._open(scope, api_key)
        account = None if dataset is None else dataset.account
        return StripeCall(
            scope=scope,
            template=endpoint.template if endpoint else f"{scope['method']} (unknown)",
            account_id=None if account is None else account.account_id,
            limited_as=None if account is None else f"{account.account_id}/{account.livemode}",
            has_body=endpoint is not None and endpoint.writes is not None,
            endpoint=endpoint,
            api_key=api_key,
            dataset=dataset,
            refusal=refusal,
        )

    def _open(self, scope: Scope, api_key: str | None) -> tuple[Dataset | None, ProviderError | None]:
        """What the request may read; or why it may not read the account that it names."""
        if not api_key:
            return None, None
        headers = dict(scope["headers"])
        account, context = (headers.get(name, b"").decode("latin-1") or None for name in _ACCOUNT_HEADERS)
        try:
            return self._accounts.opened(api_key, account, context), None
        except ProviderError as refusal:
            return None, refusal

    def arrived(self, call: StripeCall, sent: bytes) -> None:
        """See `ProviderApi`. From now on another request under the same idempotency key meets this one."""
        endpoint, scope = call.endpoint, call.scope
        if call.dataset is None or endpoint is None or endpoint.deed is None:
            return
        form = scope["query_string"] if endpoint.writes == "DELETE" else sent
        key, request_id = header_of(scope, b"idempotency-key"), self._request_id()
        call.asked = Asked(endpoint, scope["path"], form, key, request_id)
        call.is_first = begin(call.dataset, call.asked)

    def left(self, call: StripeCall) -> None:
        """See `ProviderApi`."""
        if call.dataset is not None and call.asked is not None and call.is_first:
            forget(call.dataset, call.asked)

    def _request_id(self) -> str:
        return f"req_{self._random.getrandbits(56):014x}"

    def reply(self, call: StripeCall, sent: bytes, fault: Fault | None, broken: LimitReason | None) -> Reply:
        """See `ProviderApi`."""
        headers = {
            "Content-Type": "application/json",
            "Request-Id": self._request_id() if call.asked is None else call.asked.request_id,
            "Stripe-Version": API_VERSION,
            "Cache-Control": "no-cache, no-store",
        }
        try:
            if call.refusal is not None:
                raise call.refusal
            if broken is not None:
                raise rate_limited(broken, self._behaviour.options.retry_after)
            dataset, endpoint = _admitted(call, fault)
            if call.asked is None:
                return Reply(200, headers, _answer(call, dataset, endpoint, sent, fault))
            done = answer_deed(dataset, call.asked, None if fault is None else fault.kind, is_first=call.is_first)
            if call.asked.key is not None:
                headers["Idempotency-Key"] = call.asked.key
            if done.replay_of is not None:
                headers |= {"Idempotent-Replayed": "true", "Original-Request": done.replay_of}
            return Reply(done.status, headers, done.body)
        except ProviderError as error:
            return Reply(error.status, headers | error.headers, to_bytes(error.body()))


def _admitted(call: StripeCall, fault: Fault | None) -> tuple[Dataset, Endpoint]:
    """Return what the request may read or change, and by which endpoint. Raises ProviderError if it may not."""
    endpoint, api_key, dataset, scope = call.endpoint, call.api_key, call.dataset, call.scope
    kind = None if fault is None else fault.kind
    if not api_key:
        raise no_api_key()
    if dataset is None or kind is FaultKind.UNAUTHORIZED:
        raise invalid_api_key(api_key)
    if endpoint is None:
        raise unrecognized_url(scope["method"], scope["path"])
    if fault is not None and kind is FaultKind.RATE_LIMIT:
        raise rate_limited(fault.reason, fault.retry_after)
    account = dataset.account
    missing = account.restricted_keys.get(api_key)
    if kind is FaultKind.FORBIDDEN or (missing and _lacks(missing, endpoint)):
        access = "read" if endpoint.writes is None else "write"
        raise missing_permission(api_key, account.account_id, PERMISSIONS[endpoint.name], access)
    return dataset, endpoint


def _answer(call: StripeCall, dataset: Dataset, endpoint: Endpoint, sent: bytes, fault: Fault | None) -> bytes:
    """Return the body of a successful answer. Raises ProviderError for any other."""
    if fault is not None and fault.kind in (FaultKind.ERROR_500, FaultKind.ERROR_500_DONE):
        raise server_error()
    if endpoint.writes is not None:
        return answer_write(dataset, endpoint, sent, header_of(call.scope, b"idempotency-key"))
    return answer(dataset, endpoint, call.query_string)


def api_key_of(scope: Scope) -> str | None:
    """Return the key that a request carries, as a Bearer token or as the user name of Basic auth."""
    header = header_of(scope, b"authorization") or ""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def _lacks(missing: frozenset[str], endpoint: Endpoint) -> bool:
    """Whether a restricted key lacks what an endpoint asks for; `price`, `plan` and `rak_plan_read` name the same.

    `webhook` names both reading and writing, `webhook_write` writing only.
    """
    access = "_read" if endpoint.writes is None else "_write"
    names = {name.removeprefix("rak_").removesuffix(access).removesuffix("s") for name in missing}
    permission = PERMISSIONS[endpoint.name]
    return permission in names or (permission == "plan" and "price" in names)
