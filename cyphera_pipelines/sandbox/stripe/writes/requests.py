"""Where a request that changes something comes in: it happens once under its idempotency key, and is answered."""

from collections.abc import Callable
from typing import NamedTuple

from cyphera_pipelines.sandbox.options import FaultKind
from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes
from cyphera_pipelines.sandbox.stripe.answers import shown_after
from cyphera_pipelines.sandbox.stripe.dataset import Dataset
from cyphera_pipelines.sandbox.stripe.endpoints import Endpoint
from cyphera_pipelines.sandbox.stripe.errors import ProviderError, account_not_open, server_error
from cyphera_pipelines.sandbox.stripe.writes import (
    catalog,
    customers,
    external_accounts,
    invoices,
    payments,
    subscriptions,
)
from cyphera_pipelines.sandbox.stripe.writes.parameters import Given, read_form
from cyphera_pipelines.sandbox.stripe.writes.work import Work

Maker = Callable[[Work, Given], JsonObject]
Deed = Callable[[Work, Given, str], JsonObject]

_MAKERS: dict[str, Maker] = {
    "customers": customers.create,
    "products": catalog.create_product,
    "prices": catalog.create_price,
    "subscriptions": subscriptions.create,
    "invoices": invoices.create,
    "payment_intents": payments.create,
    "refunds": payments.refund,
}
_OF_OWNER: dict[str, Deed] = {
    "external_accounts": external_accounts.add_to_account,
    "sources": external_accounts.add_to_customer,
}
DEEDS: dict[tuple[str, str], Deed] = {
    ("customers", "update"): customers.update,
    ("customers", "delete"): customers.delete,
    ("products", "update"): catalog.update_product,
    ("products", "delete"): catalog.delete_product,
    ("prices", "update"): catalog.update_price,
    ("subscriptions", "update"): subscriptions.update,
    ("subscriptions", "delete"): subscriptions.cancel,
    ("invoices", "update"): invoices.update,
    ("invoices", "delete"): invoices.delete,
    ("invoices", "add_lines"): invoices.add_lines,
    ("invoices", "finalize"): invoices.finalize,
    ("invoices", "pay"): invoices.pay,
    ("invoices", "void"): invoices.void,
    ("invoices", "send"): invoices.send,
    ("payment_intents", "capture"): payments.capture,
    ("payment_intents", "cancel"): payments.cancel,
    ("external_accounts", "update"): external_accounts.change_of_account,
    ("external_accounts", "delete"): external_accounts.remove_from_account,
    ("sources", "update"): external_accounts.change_of_customer,
    ("sources", "delete"): external_accounts.remove_from_customer,
    ("payment_methods", "update"): external_accounts.change_method,
    ("payment_methods", "attach"): external_accounts.attach,
    ("payment_methods", "detach"): external_accounts.detach,
}


class Asked(NamedTuple):
    """A request that changes something. `form` is its body, or the query of one without a body."""

    endpoint: Endpoint
    path: str
    form: bytes
    key: str | None
    request_id: str

    @property
    def content(self) -> tuple[str, str, bytes]:
        """What makes it the same request as another one."""
        return (self.endpoint.writes or "", self.path, self.form)


class Answered(NamedTuple):
    """Its answer, and whether it is that of the first request under its key."""

    status: int
    body: bytes
    replay_of: str | None = None


def begin(dataset: Dataset, asked: Asked) -> bool:
    """Whether the request is the first under its key, which is being worked on from now on."""
    if asked.key is None or asked.endpoint.writes != "POST":
        return True
    with dataset.lock:
        if dataset.idempotency_keys.is_known(asked.key):
            return False
        dataset.idempotency_keys.begin(asked.key, asked.content)
        return True


def forget(dataset: Dataset, asked: Asked) -> None:
    """The request came to nothing: its key is as new."""
    if asked.key is not None:
        with dataset.lock:
            dataset.idempotency_keys.forget_unfinished(asked.key)


def answer_deed(dataset: Dataset, asked: Asked, fault: FaultKind | None, *, is_first: bool) -> Answered:
    """Do what is asked, once under its key, and return the answer. Raises ProviderError for what was not even begun."""
    with dataset.lock:
        keys, key = dataset.idempotency_keys, asked.key
        if not is_first and key is not None:
            kept = keys.known(key, asked.content)
            return Answered(kept.status or 200, kept.body, kept.request_id)
        answered = _do(dataset, asked, fault)
        if key is not None and asked.endpoint.writes == "POST":
            keys.end(key, answered.status, answered.body, asked.request_id)
        return answered


def _do(dataset: Dataset, asked: Asked, fault: FaultKind | None) -> Answered:
    """Errors of the provider's own and refused payments are kept as answers; what makes no sense is not."""
    if fault is FaultKind.ERROR_500:
        return _failed(server_error())
    try:
        body = _body(dataset, asked)
    except ProviderError as error:
        if error.status != 402:
            raise
        return _failed(error)
    return _failed(server_error()) if fault is FaultKind.ERROR_500_DONE else Answered(200, body)


def _failed(error: ProviderError) -> Answered:
    return Answered(error.status, to_bytes(error.body()))


def _body(dataset: Dataset, asked: Asked) -> bytes:
    endpoint, account = asked.endpoint, dataset.account
    try:
        text = asked.form.decode()
    except UnicodeDecodeError:
        raise ProviderError(400, "Invalid request body: it is not form-encoded UTF-8.") from None
    given = Given(read_form(text))
    work = Work(account.account_id, account.livemode, dataset.collections, dataset.kept, dataset.events, asked.key)
    if endpoint.name == "external_accounts" and endpoint.owner_id != account.account_id:
        raise account_not_open(account.api_key, endpoint.owner_id or "")
    name, deed = endpoint.name, endpoint.deed or ""
    if deed == "create":
        of_owner = _OF_OWNER.get(name)
        made = _MAKERS[name](work, given) if of_owner is None else of_owner(work, given, endpoint.owner_id or "")
    else:
        made = DEEDS[name, deed](work, given, endpoint.object_id or "")
    return shown_after(dataset, name, made, list(given.texts("expand")))
