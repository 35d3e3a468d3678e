"""The ledger as a provider: Stripe's reading half, and operations of its own for customers."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import httpx

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import (
    AccountOperations,
    Capabilities,
    CatalogOperations,
    Change,
    ClientOptions,
    CredentialsRejectedError,
    Customer,
    CustomerOperations,
    CustomerRequest,
    Done,
    ExternalAccountOperations,
    InvoiceOperations,
    ListPage,
    ListParameters,
    ObjectGoneError,
    ObjectKind,
    Operation,
    Outcome,
    PaymentOperations,
    PreparedWrite,
    ProviderUnavailableError,
    ProviderUnreachableError,
    Rejected,
    SubscriptionOperations,
    Told,
    Unknown,
)
from cyphera_pipelines.providers.registry import PROVIDERS
from cyphera_pipelines.providers.stripe.capabilities import CAPABILITIES
from cyphera_pipelines.providers.stripe.provider import StripeProvider

NAME = "ledger"
_CUSTOMERS = frozenset({Operation.GET, Operation.LIST, Operation.CREATE, Operation.UPDATE, Operation.DELETE})


class LedgerProvider(StripeProvider):
    name = NAME
    title = "Ledger"
    capabilities = Capabilities(
        operations={ObjectKind.CUSTOMERS: _CUSTOMERS},
        reading=CAPABILITIES.reading,
        filters={ObjectKind.CUSTOMERS: ("email",)},
    )
    keys_kept_for = 86_400.0

    def operate(
        self,
        credentials: Credentials,
        _options: ClientOptions,
        _connected_account_id: str | None = None,
    ) -> AccountOperations | None:
        return LedgerOperations(str(credentials.base_url), self.keys_kept_for)


@contextmanager
def ledger_provider(*, keys_kept_for: float = LedgerProvider.keys_kept_for) -> Iterator[LedgerProvider]:
    """Have the provider registered until the context is left."""
    provider = LedgerProvider()
    provider.keys_kept_for = keys_kept_for
    PROVIDERS[NAME] = provider
    try:
        yield provider
    finally:
        PROVIDERS.pop(NAME, None)


class LedgerOperations:
    """See `AccountOperations`."""

    catalog: CatalogOperations | None = None
    subscriptions: SubscriptionOperations | None = None
    invoices: InvoiceOperations | None = None
    payments: PaymentOperations | None = None
    external_accounts: ExternalAccountOperations | None = None

    def __init__(self, url: str, keys_kept_for: float) -> None:
        self.keys_kept_for = keys_kept_for
        self.customers: CustomerOperations | None = LedgerCustomers(self)
        self._http = httpx.Client(base_url=url, timeout=120, trust_env=False)

    def perform(self, write: PreparedWrite, key: str) -> Outcome[Any]:
        sent_at = time.time()
        try:
            answer = self._http.request(
                write.method, write.path, json=dict(write.parameters), headers={"Idempotency-Key": key}
            )
        except httpx.ConnectError as error:
            raise ProviderUnreachableError("The ledger cannot be reached.") from error
        except httpx.TransportError as error:
            return Unknown(f"The connection was lost ({type(error).__name__}).")
        told = answer.json()
        if answer.status_code == 401:
            raise CredentialsRejectedError("The ledger rejects the key.")
        if answer.status_code >= 500:
            return Unknown(f"The ledger failed with status {answer.status_code}.")
        if answer.status_code >= 400:
            return Rejected(told["code"], told["message"], field=told.get("field"), status=answer.status_code)
        return _done(told, sent_at)

    def find(self, write: PreparedWrite, key: str, _sent_at: float) -> Done[Any] | None:
        now = time.time()
        if write.operation is Operation.DELETE:
            try:
                self.get(f"/customers/{write.object_id}")
            except ObjectGoneError:
                return _done({"id": write.object_id, "deleted": True}, now, was_found=True)
            return None
        found = self.get("/customers", key=key)["data"]
        return _done(found[0], now, was_found=True) if found else None

    def get(self, path: str, **query: str) -> Any:
        try:
            answer = self._http.get(path, params=query)
        except httpx.TransportError as error:
            raise ProviderUnreachableError("The ledger cannot be reached.") from error
        if answer.status_code == 404:
            raise ObjectGoneError("There is no such customer.")
        if answer.status_code >= 500:
            raise ProviderUnavailableError("The ledger fails.")
        return answer.json()

    def close(self) -> None:
        self._http.close()


class LedgerCustomers:
    """See `CustomerOperations`."""

    def __init__(self, account: LedgerOperations) -> None:
        self._account = account

    def create_customer(self, request: CustomerRequest) -> PreparedWrite:
        return PreparedWrite(
            ObjectKind.CUSTOMERS, Operation.CREATE, None, "POST", "/customers", _said(request), secret=("phone",)
        )

    def get_customer(self, customer_id: str) -> Told[Customer]:
        raw = self._account.get(f"/customers/{customer_id}")
        return Told(_customer(raw), raw)

    def update_customer(self, customer_id: str, request: CustomerRequest) -> PreparedWrite:
        path = f"/customers/{customer_id}"
        return PreparedWrite(ObjectKind.CUSTOMERS, Operation.UPDATE, customer_id, "POST", path, _said(request))

    def delete_customer(self, customer_id: str) -> PreparedWrite:
        path = f"/customers/{customer_id}"
        return PreparedWrite(ObjectKind.CUSTOMERS, Operation.DELETE, customer_id, "DELETE", path)

    def list_customers(self, parameters: ListParameters) -> ListPage[Customer]:
        found = self._account.get("/customers", **parameters.filters)["data"]
        return ListPage(tuple(_customer(each) for each in found))


def _said(request: CustomerRequest) -> dict[str, Any]:
    return {name: value for name, value in asdict(request).items() if value not in (None, ())}


def _customer(raw: Mapping[str, Any]) -> Customer:
    return Customer(id=raw["id"], email=raw.get("email"), name=raw.get("name"), metadata=raw.get("metadata") or {})


def _done(raw: Mapping[str, Any], version: float, *, was_found: bool = False) -> Done[Customer]:
    if raw.get("deleted"):
        change = Change(Entity.CUSTOMERS, raw["id"], version, is_deleted=True)
        return Done(raw["id"], None, raw, (change,), was_found)
    change = Change(Entity.CUSTOMERS, raw["id"], version, snapshot=dict(raw))
    return Done(raw["id"], _customer(raw), raw, (change,), was_found)
