"""One Stripe account, for its operations: performing what was prepared, and finding out what became of it."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import (
    THE_OBJECT,
    Change,
    ClientOptions,
    Done,
    ObjectKind,
    Operation,
    Outcome,
    PreparedWrite,
    ProviderError,
    Rejected,
    Unknown,
)
from cyphera_pipelines.providers.http.clock import just_before
from cyphera_pipelines.providers.stripe.access import own_account_id
from cyphera_pipelines.providers.stripe.changes import is_whole
from cyphera_pipelines.providers.stripe.mapping import OBJECT_NAMES
from cyphera_pipelines.providers.stripe.nested import untold_tiers
from cyphera_pipelines.providers.stripe.operations.catalog import StripeCatalog
from cyphera_pipelines.providers.stripe.operations.customers import StripeCustomers
from cyphera_pipelines.providers.stripe.operations.external_accounts import StripeExternalAccounts
from cyphera_pipelines.providers.stripe.operations.finding import Finder
from cyphera_pipelines.providers.stripe.operations.invoices import StripeInvoices
from cyphera_pipelines.providers.stripe.operations.listing import Reader
from cyphera_pipelines.providers.stripe.operations.mark import THE_KEY, filled_in
from cyphera_pipelines.providers.stripe.operations.objects.catalog import to_price, to_product
from cyphera_pipelines.providers.stripe.operations.objects.customers import to_customer
from cyphera_pipelines.providers.stripe.operations.objects.external_accounts import to_external_account
from cyphera_pipelines.providers.stripe.operations.objects.invoices import to_invoice
from cyphera_pipelines.providers.stripe.operations.objects.subscriptions import to_subscription
from cyphera_pipelines.providers.stripe.operations.objects.transactions import to_payment, to_refund
from cyphera_pipelines.providers.stripe.operations.payments import StripePayments
from cyphera_pipelines.providers.stripe.operations.sending import MISSING, Replayed, Sender, described
from cyphera_pipelines.providers.stripe.operations.subscriptions import StripeSubscriptions
from cyphera_pipelines.providers.stripe.transport import StripeTransport

KEYS_ARE_KEPT_FOR = 24 * 3600.0
"""Seconds. Stripe may forget keys that are at least a day old."""
_ITEMS: Mapping[ObjectKind, Callable[[Any], Any]] = {
    ObjectKind.CUSTOMERS: to_customer,
    ObjectKind.PRODUCTS: to_product,
    ObjectKind.PRICES: to_price,
    ObjectKind.SUBSCRIPTIONS: to_subscription,
    ObjectKind.INVOICES: to_invoice,
    ObjectKind.PAYMENTS: to_payment,
    ObjectKind.REFUNDS: to_refund,
    ObjectKind.EXTERNAL_ACCOUNTS: lambda obj: to_external_account(obj, None),
}
_ENTITIES = {name: entity for entity, name in OBJECT_NAMES.items()}
_EXPANDED_BY_US: Mapping[Entity, tuple[str, ...]] = {Entity.CUSTOMERS: ("tax_ids",), Entity.INVOICES: ("payments",)}
"""What operations ask for and a sync does not: a row is the same whoever read it."""


class StripeOperations:
    """See `AccountOperations`."""

    keys_kept_for = KEYS_ARE_KEPT_FOR

    def __init__(
        self, credentials: Credentials, options: ClientOptions, connected_account_id: str | None = None
    ) -> None:
        transport = StripeTransport(credentials, options, connected_account_id)
        reader = Reader(transport)
        self._clock, self._reader = transport.clock, reader
        self._sender, self._finder = Sender(transport), Finder(reader)
        self.customers = StripeCustomers(reader)
        self.catalog = StripeCatalog(reader)
        self.subscriptions = StripeSubscriptions(reader)
        self.invoices = StripeInvoices(reader)
        self.payments = StripePayments(reader)
        self.external_accounts = StripeExternalAccounts(reader, own_account_id(connected_account_id))

    def perform(self, write: PreparedWrite, key: str) -> Outcome[Any]:
        """See `AccountOperations`. What follows the first request goes out under keys of its own, made of this one."""
        version = just_before(self._clock.now())
        object_id, answer = write.object_id, dict[str, Any]()
        for at, step in enumerate((write, *write.then)):
            try:
                sent = self._send(step, key, object_id, at)
            except ProviderError as error:
                if at == 0:
                    raise
                # What came before was done: nobody may take this for a write that did nothing.
                return Unknown(f"Only a part of it is done: {error}")
            if isinstance(sent, Rejected):
                return self._after_refusal(write, key, object_id, sent, at)
            told = self._after_replay(write, key, object_id, sent, at) if isinstance(sent, Replayed) else sent
            if not isinstance(told, dict):
                return told
            answer = told
            object_id = object_id or told["id"]
        return self._done(write, answer, version)

    def find(self, write: PreparedWrite, key: str, sent_at: float) -> Done[Any] | None:
        """See `AccountOperations`."""
        version = just_before(self._clock.now())
        found = self._finder.find(write, key, sent_at)
        return None if found is None else self._done(write, found, version, was_found=True)

    def close(self) -> None:
        """See `AccountOperations`. The connections are shared and stay."""

    def _send(
        self, step: PreparedWrite, key: str, object_id: str | None, at: int
    ) -> dict[str, Any] | Rejected | Unknown:
        stands = {THE_KEY: key} | ({} if object_id is None else {THE_OBJECT: object_id})
        path = step.path if object_id is None else step.path.replace(THE_OBJECT, object_id)
        return self._sender.send(step, path, filled_in(step.parameters, stands), key if at == 0 else f"{key}.{at}")

    def _after_refusal(
        self, write: PreparedWrite, key: str, object_id: str | None, refusal: Rejected, at: int
    ) -> Outcome[Any]:
        if at == 0 and write.method == "DELETE" and refusal.code == MISSING:
            # Stripe keeps no answers to these: one that was sent before, and whose answer was lost, finds nothing.
            found = self._found_or_unknown(write, key, time.time())
            return refusal if found is None else found
        if at == 0 or write.operation is not Operation.CREATE or object_id is None:
            return refusal
        return self._undone(write, key, object_id, refusal)

    def _undone(self, write: PreparedWrite, key: str, object_id: str, refusal: Rejected) -> Rejected:
        """What was made before the refusal is taken back: half of it is nothing that anybody asked for."""
        undoing = PreparedWrite(write.kind, Operation.DELETE, object_id, "DELETE", f"{write.path}/{object_id}")
        try:
            is_gone = isinstance(self._send(undoing, f"{key}.undo", object_id, 0), dict)
        except ProviderError:
            is_gone = False
        if is_gone:
            return refusal
        left = f"Delete {object_id}, which was made before that and could not be taken back."
        remedy = left if refusal.remedy is None else f"{refusal.remedy} {left}"
        return Rejected(refusal.code, refusal.message, refusal.field, remedy, refusal.status)

    def _after_replay(
        self, write: PreparedWrite, key: str, object_id: str | None, replayed: Replayed, at: int
    ) -> dict[str, Any] | Done[Any] | Rejected | Unknown:
        """Under this key Stripe will never say anything else: only reading tells.

        Of a request that follows the first, the object is returned if it was done, so that the next can be sent.
        """
        sent_at = time.time() - KEYS_ARE_KEPT_FOR
        refusal = Rejected(
            "api_error",
            f"{replayed.reason} It says the same to everything under this key, and nothing shows that it was done.",
            remedy="Ask for it again under another key.",
        )
        if at == 0 and not write.then:
            found = self._found_or_unknown(write, key, sent_at)
            return refusal if found is None else found
        try:
            request = (write, *write.then)[at]
            seen = self._finder.find_request(request, object_id, key, sent_at)
            if seen is None:
                return refusal if object_id is None else self._undone(write, key, object_id, refusal)
            if at == 0 or object_id is None:
                return seen
            return self._reader.raw(
                f"{write.path}/{object_id}",
                {},
                f"reading after {described(write)}",
                endpoint=f"one of {write.kind.value}",
            )
        except ProviderError as error:
            return Unknown(str(error))

    def _found_or_unknown(self, write: PreparedWrite, key: str, sent_at: float) -> Done[Any] | Unknown | None:
        try:
            return self.find(write, key, sent_at)
        except ProviderError as error:
            return Unknown(str(error))

    def _done(
        self, write: PreparedWrite, answer: dict[str, Any], version: float, *, was_found: bool = False
    ) -> Done[Any]:
        object_id = write.object_id or str(answer["id"])
        changes = _changes(answer, version)
        if write.operation is Operation.DELETE or answer.get("deleted") is True:
            return Done(object_id, None, answer, _deletion(write, object_id, version) or changes, was_found)
        shown = self._to_show(write, answer)
        return Done(object_id, _item(write.kind, shown), shown, changes, was_found)

    def _to_show(self, write: PreparedWrite, answer: dict[str, Any]) -> dict[str, Any]:
        path = write.finding.get("shows")
        if path is None:
            return answer
        try:
            return self._reader.raw(
                path,
                write.finding.get("parameters", {}),
                f"reading after {described(write)}",
                endpoint=f"one of {write.kind.value}",
            )
        except ProviderError:
            return answer


def _item(kind: ObjectKind, answer: dict[str, Any]) -> Any:
    """The canonical object; None for what cannot be put into our words: it was done, and `raw` tells what it is."""
    try:
        return _ITEMS[kind](answer)
    except ProviderError:
        return None


def _changes(answer: dict[str, Any], version: float) -> tuple[Change, ...]:
    entity = _ENTITIES.get(str(answer.get("object")))
    if entity is None or answer.get("deleted") is True:
        return ()
    snapshot = {name: value for name, value in answer.items() if name not in _EXPANDED_BY_US.get(entity, ())}
    is_told = not any(untold_tiers(entity, snapshot)) if entity is Entity.PRICES else is_whole(entity, snapshot)
    return (Change(entity, answer["id"], version, snapshot=snapshot if is_told else None),)


def _deletion(write: PreparedWrite, object_id: str, version: float) -> tuple[Change, ...]:
    if write.operation is not Operation.DELETE or write.kind.value not in {entity.value for entity in Entity}:
        return ()
    return (Change(Entity(write.kind.value), object_id, version, is_deleted=True),)
