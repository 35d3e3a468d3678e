"""What can be done at Chargebee through this system."""

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import Capabilities, EntityReading, ObjectKind, Operation
from cyphera_pipelines.providers.chargebee.operations import catalog, customers, invoices, payments, subscriptions

_KEEPING = frozenset({Operation.SYNC, Operation.CHANGES, Operation.DELETIONS, Operation.WEBHOOKS})
_READING = frozenset({Operation.GET, Operation.LIST})
_WRITING = _READING | {Operation.CREATE, Operation.UPDATE}
_OPERATIONS: dict[ObjectKind, frozenset[Operation]] = {
    ObjectKind.CUSTOMERS: _KEEPING | _WRITING | {Operation.DELETE},
    ObjectKind.PRODUCTS: _KEEPING | _WRITING | {Operation.DELETE},
    ObjectKind.PRICES: _KEEPING | _WRITING,
    ObjectKind.SUBSCRIPTIONS: _KEEPING | _WRITING | {Operation.CANCEL, Operation.REACTIVATE},
    ObjectKind.INVOICES: _KEEPING | _READING | {Operation.CREATE, Operation.FINALIZE, Operation.PAY, Operation.VOID},
    # Payments are made by collecting invoices.
    ObjectKind.PAYMENTS: _READING,
    ObjectKind.REFUNDS: _READING | {Operation.CREATE},
    ObjectKind.EXTERNAL_ACCOUNTS: _READING | {Operation.DELETE, Operation.SET_DEFAULT},
}

CAPABILITIES = Capabilities(
    operations=_OPERATIONS,
    reading={
        Entity.CUSTOMERS: EntityReading(axis="created"),
        Entity.PRODUCTS: EntityReading(axis=None),
        Entity.PRICES: EntityReading(axis=None),
        Entity.SUBSCRIPTIONS: EntityReading(axis="created"),
        Entity.INVOICES: EntityReading(axis="effective_at"),
    },
    filters={
        ObjectKind.CUSTOMERS: tuple(customers.FILTERS),
        ObjectKind.PRODUCTS: tuple(catalog.PRODUCT_FILTERS),
        ObjectKind.PRICES: tuple(catalog.PRICE_FILTERS),
        ObjectKind.SUBSCRIPTIONS: tuple(subscriptions.FILTERS),
        ObjectKind.INVOICES: tuple(invoices.FILTERS),
        ObjectKind.PAYMENTS: tuple(payments.PAYMENT_FILTERS),
        ObjectKind.REFUNDS: tuple(payments.REFUND_FILTERS),
    },
)
