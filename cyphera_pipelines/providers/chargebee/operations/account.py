"""One Chargebee site, for its operations: performing what was prepared, and finding out what became of it."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import (
    THE_OBJECT,
    CatalogOperations,
    Change,
    ClientOptions,
    CustomerOperations,
    Done,
    ExternalAccountOperations,
    InvoiceOperations,
    ObjectGoneError,
    ObjectKind,
    Operation,
    Outcome,
    PaymentOperations,
    PreparedWrite,
    ProviderError,
    Rejected,
    SubscriptionOperations,
    Unknown,
)
from cyphera_pipelines.providers.chargebee.errors import PROVIDER, refuse
from cyphera_pipelines.providers.chargebee.operations.catalog import THE_FAMILY, ChargebeeCatalog
from cyphera_pipelines.providers.chargebee.operations.customers import ChargebeeCustomers
from cyphera_pipelines.providers.chargebee.operations.external_accounts import ChargebeeExternalAccounts
from cyphera_pipelines.providers.chargebee.operations.finding import Finder
from cyphera_pipelines.providers.chargebee.operations.invoices import ChargebeeInvoices
from cyphera_pipelines.providers.chargebee.operations.matching import is_as_wanted
from cyphera_pipelines.providers.chargebee.operations.naming import NEW_ID, filled_in, key_of_step, new_id
from cyphera_pipelines.providers.chargebee.operations.notes import BY_ID
from cyphera_pipelines.providers.chargebee.operations.objects.catalog import to_price, to_product
from cyphera_pipelines.providers.chargebee.operations.objects.customers import to_customer
from cyphera_pipelines.providers.chargebee.operations.objects.external_accounts import to_external_account
from cyphera_pipelines.providers.chargebee.operations.objects.invoices import to_invoice
from cyphera_pipelines.providers.chargebee.operations.objects.subscriptions import to_subscription
from cyphera_pipelines.providers.chargebee.operations.objects.transactions import to_transaction
from cyphera_pipelines.providers.chargebee.operations.payments import PAYMENT, THE_INVOICE, ChargebeePayments
from cyphera_pipelines.providers.chargebee.operations.reading import Reader
from cyphera_pipelines.providers.chargebee.operations.refunds import invoice_and_parameters
from cyphera_pipelines.providers.chargebee.operations.refusals import EXISTS_ALREADY, NOT_THERE, refusal_of
from cyphera_pipelines.providers.chargebee.operations.subscriptions import (
    ITEMS,
    REPLACES,
    ChargebeeSubscriptions,
    replaced_list,
)
from cyphera_pipelines.providers.chargebee.resources import RESOURCES, id_of, is_deleted, version_of
from cyphera_pipelines.providers.chargebee.site import ITEM_FAMILY
from cyphera_pipelines.providers.chargebee.transport import ChargebeeTransport
from cyphera_pipelines.providers.http.answers import Answer, read_answer
from cyphera_pipelines.providers.http.clock import just_before
from cyphera_pipelines.providers.http.failures import Failure

KEYS_ARE_KEPT_FOR = 30 * 60.0
"""Seconds, as Chargebee's documentation says; another source of theirs says a day."""
_NAMES: Mapping[ObjectKind, tuple[str, Callable[[Any], Any]]] = {
    ObjectKind.CUSTOMERS: ("customer", to_customer),
    ObjectKind.PRODUCTS: ("item", to_product),
    ObjectKind.PRICES: ("item_price", to_price),
    ObjectKind.SUBSCRIPTIONS: ("subscription", to_subscription),
    ObjectKind.INVOICES: ("invoice", to_invoice),
    ObjectKind.PAYMENTS: ("transaction", to_transaction),
    ObjectKind.REFUNDS: ("transaction", to_transaction),
    ObjectKind.EXTERNAL_ACCOUNTS: ("payment_source", to_external_account),
}


class ChargebeeOperations:
    """See `AccountOperations`."""

    keys_kept_for = KEYS_ARE_KEPT_FOR

    def __init__(self, credentials: Credentials, options: ClientOptions) -> None:
        self._transport = ChargebeeTransport(credentials, options)
        self._clock = self._transport.clock
        self._reader = Reader(self._transport)
        self._finder = Finder(self._reader)
        self.customers: CustomerOperations | None = ChargebeeCustomers(self._reader)
        self.catalog: CatalogOperations | None = ChargebeeCatalog(
            self._reader, credentials.options.get(ITEM_FAMILY.name)
        )
        self.subscriptions: SubscriptionOperations | None = ChargebeeSubscriptions(self._reader)
        self.invoices: InvoiceOperations | None = ChargebeeInvoices(self._reader)
        self.payments: PaymentOperations | None = ChargebeePayments(self._reader)
        self.external_accounts: ExternalAccountOperations | None = ChargebeeExternalAccounts(self._reader)

    def perform(self, write: PreparedWrite, key: str) -> Outcome[Any]:
        """See `AccountOperations`. What follows the first request goes out under keys of its own, made of this one."""
        version = just_before(self._clock.now())
        object_id, answer = write.object_id, dict[str, Any]()
        for at, step in enumerate((write, *write.then)):
            sent = self._carry_out(step, write, key, object_id, at)
            if isinstance(sent, Unknown):
                return sent
            if isinstance(sent, Rejected):
                return sent if at == 0 else _after(sent, object_id)
            answer |= sent
            object_id = object_id or id_of(answer.get(_NAMES[write.kind][0]))
        return self._done(write, answer, version)

    def find(self, write: PreparedWrite, key: str, sent_at: float) -> Done[Any] | None:
        """See `AccountOperations`."""
        version = just_before(self._clock.now())
        found = self._finder.find(write, key, sent_at)
        if found is None:
            return None
        name = "customer" if write.operation is Operation.SET_DEFAULT else _NAMES[write.kind][0]
        return self._done(write, {name: dict(found)} if found else {}, version, was_found=True)

    def close(self) -> None:
        """See `AccountOperations`. The connections are shared and stay."""

    def _carry_out(
        self, step: PreparedWrite, write: PreparedWrite, key: str, object_id: str | None, at: int
    ) -> dict[str, Any] | Rejected | Unknown:
        made = new_id(write.kind.value, key)
        stands = {NEW_ID: made} | ({} if object_id is None else {THE_OBJECT: object_id})
        path = step.path if object_id is None else step.path.replace(THE_OBJECT, quote(object_id, safe=""))
        completed = self._completed(step, path, filled_in(step.parameters, stands))
        if not isinstance(completed, tuple):
            return completed
        path, parameters = completed
        operation = f"{step.operation.value} of {step.kind.value}"
        endpoint = path.split("/")[1]
        sent = self._transport.post(path, parameters, operation, endpoint=endpoint, key=key_of_step(key, at))
        outcome = _read(sent, operation)
        if isinstance(outcome, Rejected) and outcome.code == EXISTS_ALREADY and step.finding.get("how") == BY_ID:
            # The id follows from the key: what has it was made by this very write, some time ago.
            name = str(step.finding["name"])
            try:
                return {name: self._reader.raw(str(step.finding["plural"]), name, made)}
            except ObjectGoneError:
                return outcome
        return outcome

    def _completed(
        self, step: PreparedWrite, path: str, parameters: dict[str, Any]
    ) -> tuple[str, dict[str, Any]] | dict[str, Any] | Rejected:
        """The path and parameters with what has to be read first; or the object, where it is as wanted already.

        Raises ProviderError's kinds if it cannot be read: then nothing was sent.
        """
        try:
            if parameters.get("item_family_id") == THE_FAMILY:
                family = id_of(self._reader.first("item_families", "item_family", "looking for an item family"))
                return _NO_FAMILY if family is None else (path, {**parameters, "item_family_id": family})
            if THE_INVOICE in path:
                found = invoice_and_parameters(self._reader, str(step.finding[PAYMENT]), parameters)
                if isinstance(found, Rejected):
                    return found
                return path.replace(THE_INVOICE, quote(found[0], safe="")), found[1]
            if step.finding.get(REPLACES):
                obj = self._reader.raw("subscriptions", "subscription", str(step.object_id))
                if is_as_wanted(obj, dict(step.finding), time.time()):
                    return {"subscription": obj}
                items = replaced_list(obj.get("subscription_items"), step.finding[ITEMS], step.finding[REPLACES])
                return path, {**parameters, "subscription_items": items}
        except ObjectGoneError as error:
            return Rejected(NOT_THERE, str(error))
        return path, parameters

    def _done(
        self, write: PreparedWrite, answer: Mapping[str, Any], version: float, *, was_found: bool = False
    ) -> Done[Any]:
        name, to_item = _NAMES[write.kind]
        obj = answer.get(name)
        object_id = write.object_id or str(id_of(obj))
        changes = {(each.entity, each.object_id): each for each in self._changes(answer, version)}
        if write.operation is Operation.DELETE:
            changes |= {(each.entity, each.object_id): each for each in _deletion(write, object_id, version, changes)}
            return Done(object_id, None, obj, tuple(changes.values()), was_found)
        if write.operation is Operation.SET_DEFAULT and obj is None:
            obj = self._payment_source(object_id)
        return Done(object_id, _item(to_item, obj), obj, tuple(changes.values()), was_found)

    def _payment_source(self, account_id: str) -> dict[str, Any] | None:
        try:
            return self._reader.raw("payment_sources", "payment_source", account_id)
        except ProviderError:
            return None

    def _changes(self, answer: Mapping[str, Any], version: float) -> Iterator[Change]:
        """What the answer says of synced entities, which it tells whole."""
        for entity, resource in RESOURCES.items():
            obj = answer.get(resource.name)
            object_id = id_of(obj)
            if not isinstance(obj, dict) or object_id is None:
                continue
            known = max(version, version_of(obj, self._clock) or 0.0)
            is_gone = is_deleted(obj)
            yield Change(entity, object_id, known, None if is_gone else obj, is_deleted=is_gone, last_known=obj)


_NO_FAMILY = Rejected(
    "no_item_family",
    "The site has no item family that the product could go to.",
    field="configuration.options.item_family",
    remedy="Make one at Chargebee, or name one in the source's option item_family.",
)


def _read(sent: Answer | Failure, operation: str) -> dict[str, Any] | Rejected | Unknown:
    """What became of one request. Raises ProviderError's kinds where it certainly did nothing, and never will."""
    if isinstance(sent, Failure):
        return Unknown(sent.reason or str(sent.error))
    if 200 <= sent.status < 300:
        answer = read_answer(sent.body, sent.headers.get("Content-Type"), operation, PROVIDER)
        return Unknown(answer.reason or str(answer.error)) if isinstance(answer, Failure) else answer
    failure = refuse(sent, operation)
    if sent.status >= 500:
        return Unknown(failure.reason)
    refused = refusal_of(sent)
    if sent.status in (401, 403) or sent.status < 400 or refused.code == "site_not_found":
        raise failure.error
    return refused


def _item(to_item: Callable[[Any], Any], obj: Any) -> Any:
    """The canonical object; None for what cannot be put into our words: it was done, and `raw` tells what it is."""
    try:
        return to_item(obj)
    except ProviderError:
        return None


def _after(refused: Rejected, object_id: str | None) -> Rejected:
    """A refusal of what follows the first request, which was carried out."""
    done = f"What goes before it was done, to {object_id}: look at that at Chargebee."
    remedy = done if refused.remedy is None else f"{refused.remedy} {done}"
    return Rejected(refused.code, refused.message, refused.field, remedy, refused.status)


def _deletion(
    write: PreparedWrite, object_id: str, version: float, told: Mapping[tuple[Entity, str], Change]
) -> Iterator[Change]:
    if write.kind.value in {entity.value for entity in Entity}:
        name = (Entity(write.kind.value), object_id)
        known = told.get(name)
        moment = version if known is None else known.version
        yield Change(*name, moment, is_deleted=True, last_known=None if known is None else known.last_known)
