"""What can be done at Stripe through this system."""

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import Capabilities, EntityReading, ObjectKind, Operation
from cyphera_pipelines.providers.stripe.operations import catalog, customers, invoices, payments, subscriptions

EVENTS_ARE_KEPT_FOR = 28 * 86_400.0
"""Seconds. Stripe keeps provider events for 30 days; the margin is for a sync that takes long."""

_KEEPING = frozenset({Operation.SYNC, Operation.CHANGES, Operation.DELETIONS, Operation.WEBHOOKS})

_READING = frozenset({Operation.GET, Operation.LIST})
_WRITING = _READING | {Operation.CREATE, Operation.UPDATE}
_OPERATIONS: dict[ObjectKind, frozenset[Operation]] = {
    ObjectKind.CUSTOMERS: _WRITING | {Operation.DELETE},
    ObjectKind.PRODUCTS: _WRITING | {Operation.DELETE},
    # Prices are archived, by an update: Stripe deletes none that was ever used.
    ObjectKind.PRICES: _WRITING,
    ObjectKind.SUBSCRIPTIONS: _WRITING | {Operation.CANCEL, Operation.REACTIVATE},
    ObjectKind.INVOICES: _READING
    | {Operation.CREATE, Operation.FINALIZE, Operation.PAY, Operation.VOID, Operation.SEND},
    ObjectKind.PAYMENTS: _READING | {Operation.CREATE, Operation.CAPTURE, Operation.CANCEL},
    ObjectKind.REFUNDS: _READING | {Operation.CREATE},
    ObjectKind.EXTERNAL_ACCOUNTS: _WRITING | {Operation.DELETE, Operation.SET_DEFAULT},
}
_KEPT = {entity.value for entity in Entity}

CAPABILITIES = Capabilities(
    operations={
        kind: done | (_KEEPING if kind.value in _KEPT else frozenset[Operation]()) for kind, done in _OPERATIONS.items()
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
    reading={entity: EntityReading(axis="created", changes_kept_for=EVENTS_ARE_KEPT_FOR) for entity in Entity},
)
