"""Reading objects at a provider, in the field's own terms."""

from dataclasses import replace
from typing import Any

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.operations.gate import check_supported, offered
from cyphera_pipelines.providers.base import (
    AccountOperations,
    ListPage,
    ListParameters,
    ObjectKind,
    Operation,
    Provider,
    Told,
)

PRODUCT = "product_id"
"""The filter of prices that every provider offers."""


def read_object(
    provider: Provider, account: AccountOperations, kind: ObjectKind, object_id: str, *, owner_id: str | None = None
) -> Told[Any]:
    """The object, in its canonical form and as the provider has it. `owner_id` is an external account's.

    Raises UnsupportedError, ObjectGoneError and ProviderError's other kinds.
    """
    check_supported(provider, kind, Operation.GET)
    match kind:
        case ObjectKind.CUSTOMERS:
            return offered(account.customers, provider, kind, Operation.GET).get_customer(object_id)
        case ObjectKind.PRODUCTS:
            return offered(account.catalog, provider, kind, Operation.GET).get_product(object_id)
        case ObjectKind.PRICES:
            return offered(account.catalog, provider, kind, Operation.GET).get_price(object_id)
        case ObjectKind.SUBSCRIPTIONS:
            return offered(account.subscriptions, provider, kind, Operation.GET).get_subscription(object_id)
        case ObjectKind.INVOICES:
            return offered(account.invoices, provider, kind, Operation.GET).get_invoice(object_id)
        case ObjectKind.PAYMENTS:
            return offered(account.payments, provider, kind, Operation.GET).get_transaction(object_id)
        case ObjectKind.REFUNDS:
            return offered(account.payments, provider, kind, Operation.GET).get_refund(object_id)
        case ObjectKind.EXTERNAL_ACCOUNTS:
            group = offered(account.external_accounts, provider, kind, Operation.GET)
            return group.get_external_account(object_id, owner_id)


def list_objects(
    provider: Provider,
    account: AccountOperations,
    kind: ObjectKind,
    parameters: ListParameters,
    *,
    owner_id: str | None = None,
) -> ListPage[Any]:
    """Some objects, newest first. Raises UnsupportedError, InvalidInputError and ProviderError's kinds."""
    check_supported(provider, kind, Operation.LIST)
    check_filters(provider, kind, parameters)
    match kind:
        case ObjectKind.CUSTOMERS:
            return offered(account.customers, provider, kind, Operation.LIST).list_customers(parameters)
        case ObjectKind.PRODUCTS:
            return offered(account.catalog, provider, kind, Operation.LIST).list_products(parameters)
        case ObjectKind.PRICES:
            of_product = {name: value for name, value in parameters.filters.items() if name != PRODUCT}
            group = offered(account.catalog, provider, kind, Operation.LIST)
            return group.list_prices(replace(parameters, filters=of_product), parameters.filters.get(PRODUCT))
        case ObjectKind.SUBSCRIPTIONS:
            return offered(account.subscriptions, provider, kind, Operation.LIST).list_subscriptions(parameters)
        case ObjectKind.INVOICES:
            return offered(account.invoices, provider, kind, Operation.LIST).list_invoices(parameters)
        case ObjectKind.PAYMENTS:
            return offered(account.payments, provider, kind, Operation.LIST).list_transactions(parameters)
        case ObjectKind.REFUNDS:
            return offered(account.payments, provider, kind, Operation.LIST).list_refunds(parameters)
        case ObjectKind.EXTERNAL_ACCOUNTS:
            accounts = offered(account.external_accounts, provider, kind, Operation.LIST)
            return accounts.list_external_accounts(parameters, owner_id)


def check_filters(provider: Provider, kind: ObjectKind, parameters: ListParameters) -> None:
    """Raise InvalidInputError for a filter that the provider does not declare, or two cursors."""
    known = provider.capabilities.filters.get(kind, ())
    if kind is ObjectKind.PRICES and PRODUCT not in known:
        known = (PRODUCT, *known)
    for name in parameters.filters:
        if name not in known:
            choices = f"choose from {', '.join(known)}" if known else "it has none"
            raise InvalidInputError(f"{provider.name} lists no {kind.value} by {name!r}: {choices}.")
    if parameters.starting_after is not None and parameters.ending_before is not None:
        raise InvalidInputError("Give starting_after or ending_before, not both.")
