"""What is answered to a write: the object, the write while nobody knows what became of it, or why it was rejected."""

from http import HTTPStatus
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from cyphera_pipelines.api.problems import FieldProblem, ProblemError
from cyphera_pipelines.api.routes.router import ADMINISTRATION_PREFIX, problems
from cyphera_pipelines.api.schemas.objects.catalog import PriceOut, ProductOut
from cyphera_pipelines.api.schemas.objects.customers import CustomerOut
from cyphera_pipelines.api.schemas.objects.external_accounts import ExternalAccountOut
from cyphera_pipelines.api.schemas.objects.invoices import InvoiceOut
from cyphera_pipelines.api.schemas.objects.payments import TransactionOut
from cyphera_pipelines.api.schemas.objects.subscriptions import SubscriptionOut
from cyphera_pipelines.api.schemas.objects.writes import DeletedOut, DryRunOut, WriteOut
from cyphera_pipelines.model.writes import Write, WriteState
from cyphera_pipelines.operations.carrying_out import WriteResult
from cyphera_pipelines.providers.base import ObjectKind, Operation

SHOWN: dict[ObjectKind, type[BaseModel]] = {
    ObjectKind.CUSTOMERS: CustomerOut,
    ObjectKind.PRODUCTS: ProductOut,
    ObjectKind.PRICES: PriceOut,
    ObjectKind.SUBSCRIPTIONS: SubscriptionOut,
    ObjectKind.INVOICES: InvoiceOut,
    ObjectKind.PAYMENTS: TransactionOut,
    ObjectKind.REFUNDS: TransactionOut,
    ObjectKind.EXTERNAL_ACCOUNTS: ExternalAccountOut,
}
_REJECTED = {
    HTTPStatus.PAYMENT_REQUIRED: ("payment-declined", "The payment was declined"),
    HTTPStatus.NOT_FOUND: ("object-gone", "The provider has no such object"),
}
_UNDECIDED: dict[int | str, dict[str, Any]] = {
    HTTPStatus.ACCEPTED.value: {
        "model": WriteOut,
        "description": "No answer came that tells whether it happened: the write, which is being found out. Ask for it "
        "at `Location`, or repeat the request with the same `Idempotency-Key`.",
    },
    **problems(
        HTTPStatus.PAYMENT_REQUIRED,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.BAD_GATEWAY,
    ),
}
CREATED: dict[int | str, dict[str, Any]] = {
    **_UNDECIDED,
    HTTPStatus.OK.value: {"model": DryRunOut, "description": "With `dry_run`: what would be sent."},
}
"""What else may be answered where an object is made, and `CHANGED` where one is changed."""
CHANGED = _UNDECIDED
READ = problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.BAD_GATEWAY)


def answer_dry_run(shown: dict[str, Any]) -> Response:
    """What would be sent."""
    return JSONResponse(DryRunOut.model_validate(shown).model_dump(mode="json"))


def answer_write(result: WriteResult) -> Response:
    """The object that was written, with status 201 if it was made; or the write, with 202, while nobody knows.

    Raises ProblemError where it was rejected.
    """
    write = result.write
    headers = {"Idempotency-Key": write.idempotency_key, "X-Write-ID": str(write.id)}
    if result.was_known:
        headers["Idempotent-Replayed"] = "true"
    match write.state:
        case WriteState.DONE:
            is_new = write.operation == Operation.CREATE.value
            status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
            return JSONResponse(_object(write), status, headers=headers)
        case WriteState.REJECTED:
            raise _rejected(write, headers)
    headers["Location"] = f"{ADMINISTRATION_PREFIX}/{write.provider_name}/writes/{write.id}"
    headers["Retry-After"] = "2"
    return JSONResponse(WriteOut.model_validate(write).model_dump(mode="json"), HTTPStatus.ACCEPTED, headers=headers)


def _object(write: Write) -> dict[str, Any]:
    if write.answer is None:
        return DeletedOut(id=str(write.object_id)).model_dump(mode="json")
    return SHOWN[ObjectKind(write.kind)].model_validate(write.answer).model_dump(mode="json")


def _rejected(write: Write, headers: dict[str, str]) -> ProblemError:
    problem = write.problem or {}
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    if problem.get("status") in list(_REJECTED):
        status = HTTPStatus(problem["status"])
    kind, title = _REJECTED.get(status, ("write-rejected", "The provider rejects this"))
    message, remedy, field = (str(problem.get(name) or "") for name in ("message", "remedy", "field"))
    if message and not message.endswith((".", "!", "?")):
        message += "."  # providers end theirs with an id, or with nothing
    errors = None
    if field:
        errors = [FieldProblem(location="body", field=field, message=message, remedy=remedy or "Give another value.")]
    return ProblemError(
        status,
        kind,
        title,
        f"{message} {remedy}".strip(),
        headers=headers,
        code=str(problem.get("code")),
        write_id=str(write.id),
        errors=errors,
    )
