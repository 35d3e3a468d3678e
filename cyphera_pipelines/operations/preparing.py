"""From what is asked to the provider's own request: decided to the last parameter, and not sent."""

from typing import Any

from cyphera_pipelines.operations.asked import Asked
from cyphera_pipelines.operations.gate import check_supported, offered
from cyphera_pipelines.providers.base import (
    AccountOperations,
    CatalogOperations,
    CustomerOperations,
    ExternalAccountOperations,
    InvoiceOperations,
    ObjectKind,
    Operation,
    PaymentOperations,
    PreparedWrite,
    Provider,
    SubscriptionOperations,
    UnsupportedError,
)


def prepare(provider: Provider, account: AccountOperations, asked: Asked) -> PreparedWrite:
    """What would be sent. Raises UnsupportedError, and InvalidInputError for what no provider would take."""
    check_supported(provider, asked.kind, asked.operation)
    kind, operation = asked.kind, asked.operation
    prepared: PreparedWrite | None
    match kind:
        case ObjectKind.CUSTOMERS:
            prepared = _customer(offered(account.customers, provider, kind, operation), asked)
        case ObjectKind.PRODUCTS:
            prepared = _product(offered(account.catalog, provider, kind, operation), asked)
        case ObjectKind.PRICES:
            prepared = _price(offered(account.catalog, provider, kind, operation), asked)
        case ObjectKind.SUBSCRIPTIONS:
            prepared = _subscription(offered(account.subscriptions, provider, kind, operation), asked)
        case ObjectKind.INVOICES:
            prepared = _invoice(offered(account.invoices, provider, kind, operation), asked)
        case ObjectKind.PAYMENTS:
            prepared = _payment(offered(account.payments, provider, kind, operation), asked)
        case ObjectKind.REFUNDS:
            prepared = _refund(offered(account.payments, provider, kind, operation), asked)
        case ObjectKind.EXTERNAL_ACCOUNTS:
            prepared = _external_account(offered(account.external_accounts, provider, kind, operation), asked)
    if prepared is None:
        raise UnsupportedError(provider.name, kind, operation)
    return prepared


def _customer(group: CustomerOperations, asked: Asked) -> PreparedWrite | None:
    request: Any = asked.request
    match asked.operation:
        case Operation.CREATE:
            return group.create_customer(request)
        case Operation.UPDATE:
            return group.update_customer(_id(asked), request)
        case Operation.DELETE:
            return group.delete_customer(_id(asked))
    return None


def _product(group: CatalogOperations, asked: Asked) -> PreparedWrite | None:
    request: Any = asked.request
    match asked.operation:
        case Operation.CREATE:
            return group.create_product(request)
        case Operation.UPDATE:
            return group.update_product(_id(asked), request)
        case Operation.DELETE:
            return group.delete_product(_id(asked))
    return None


def _price(group: CatalogOperations, asked: Asked) -> PreparedWrite | None:
    request: Any = asked.request
    match asked.operation:
        case Operation.CREATE:
            return group.create_price(request)
        case Operation.UPDATE:
            return group.update_price(_id(asked), request)
    return None


def _subscription(group: SubscriptionOperations, asked: Asked) -> PreparedWrite | None:
    request: Any = asked.request
    match asked.operation:
        case Operation.CREATE:
            return group.create_subscription(request)
        case Operation.UPDATE:
            return group.update_subscription(_id(asked), request)
        case Operation.CANCEL:
            return group.cancel_subscription(_id(asked), request)
        case Operation.REACTIVATE:
            return group.reactivate_subscription(_id(asked))
    return None


def _invoice(group: InvoiceOperations, asked: Asked) -> PreparedWrite | None:
    request: Any = asked.request
    match asked.operation:
        case Operation.CREATE:
            return group.create_invoice(request)
        case Operation.FINALIZE:
            return group.finalize_invoice(_id(asked))
        case Operation.PAY:
            return group.pay_invoice(_id(asked), request)
        case Operation.VOID:
            return group.void_invoice(_id(asked))
        case Operation.SEND:
            return group.send_invoice(_id(asked))
    return None


def _payment(group: PaymentOperations, asked: Asked) -> PreparedWrite | None:
    request: Any = asked.request
    match asked.operation:
        case Operation.CREATE:
            return group.create_payment(request)
        case Operation.CAPTURE:
            return group.capture_payment(_id(asked), None if request is None else request.amount)
        case Operation.CANCEL:
            return group.cancel_payment(_id(asked))
    return None


def _refund(group: PaymentOperations, asked: Asked) -> PreparedWrite | None:
    request: Any = asked.request
    return group.create_refund(request) if asked.operation is Operation.CREATE else None


def _external_account(group: ExternalAccountOperations, asked: Asked) -> PreparedWrite | None:
    request: Any = asked.request
    match asked.operation:
        case Operation.CREATE:
            return group.create_external_account(request)
        case Operation.UPDATE:
            return group.update_external_account(_id(asked), asked.owner_id, request)
        case Operation.DELETE:
            return group.delete_external_account(_id(asked), asked.owner_id)
        case Operation.SET_DEFAULT:
            return group.set_default_external_account(_id(asked), asked.owner_id)
    return None


def _id(asked: Asked) -> str:
    assert asked.object_id is not None, "whatever is changed has an id"
    return asked.object_id
