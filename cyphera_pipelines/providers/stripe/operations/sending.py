"""Sending one request of a write, and telling from its answer what became of it."""

from collections.abc import Mapping
from typing import Any

from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.base import ObjectKind, Operation, PreparedWrite, Rejected, Unknown
from cyphera_pipelines.providers.http.answers import Answer, read_answer
from cyphera_pipelines.providers.http.failures import Failure
from cyphera_pipelines.providers.stripe.errors import PROVIDER, Refusal, rejected_response
from cyphera_pipelines.providers.stripe.operations.refusals import error_in, refusal_of
from cyphera_pipelines.providers.stripe.transport import StripeTransport, WriteMethod

MISSING = "resource_missing"
_DOING = {
    Operation.CREATE: "creating",
    Operation.UPDATE: "updating",
    Operation.DELETE: "deleting",
    Operation.CANCEL: "canceling",
    Operation.REACTIVATE: "reactivating",
    Operation.FINALIZE: "finalizing",
    Operation.PAY: "paying",
    Operation.VOID: "voiding",
    Operation.SEND: "sending",
    Operation.CAPTURE: "capturing",
    Operation.SET_DEFAULT: "making the default",
}
_METHODS: Mapping[str, WriteMethod] = {"POST": "post", "DELETE": "delete"}
_NOT_TOLD = (408, 409)
"""Besides 5xx: the server gave up waiting, or is still at work on the same key."""


class Replayed(Unknown):
    """Stripe keeps answering with the error of its own that it had at the first time: it will tell nothing else."""


def described(write: PreparedWrite) -> str:
    """What the write does, for errors, as in "updating cus_1 of customers"."""
    doing = _DOING.get(write.operation, write.operation.value)
    return (
        f"{doing} {write.kind.value}" if write.object_id is None else f"{doing} {write.object_id} of {write.kind.value}"
    )


class Sender:
    """Sends one account's writes."""

    def __init__(self, transport: StripeTransport) -> None:
        self._transport = transport

    def send(
        self, write: PreparedWrite, path: str, parameters: Mapping[str, Any], key: str
    ) -> dict[str, Any] | Rejected | Unknown:
        """Send one request under the key; return the answer's object, or what became of the request instead.

        Raises ProviderError's kinds where it certainly did nothing: as for credentials that are not accepted.
        """
        operation = described(write)
        endpoint = f"{write.operation.value} {write.kind.value}"
        answer = self._transport.send(_METHODS[write.method], path, parameters, operation, endpoint=endpoint, key=key)
        if isinstance(answer, Failure):
            return Unknown(answer.reason or str(answer.error))
        return _read(answer, operation, write.kind)


def _read(answer: Answer, operation: str, kind: ObjectKind) -> dict[str, Any] | Rejected | Unknown:
    status = answer.status
    if 200 <= status < 300:
        found = read_answer(answer.body, answer.headers.get("Content-Type"), operation, PROVIDER)
        if isinstance(found, Failure):
            return Unknown(found.reason or str(found.error))
        return found if is_usable_id(found.get("id")) else Unknown(f"Stripe's answer to {operation} names no object.")
    failure = rejected_response(Refusal.in_body(answer.body), status, answer.headers, operation, access="write")
    if status >= 500 or status in _NOT_TOLD:
        is_replayed = str(answer.headers.get("Idempotent-Replayed", "")).lower() == "true" and status >= 500
        return (Replayed if is_replayed else Unknown)(failure.reason or str(failure.error))
    is_refused = status >= 400 and status not in (401, 403)
    if is_refused and (status != 404 or error_in(answer.body).get("code") == MISSING):
        return refusal_of(answer, kind)
    raise failure.error
