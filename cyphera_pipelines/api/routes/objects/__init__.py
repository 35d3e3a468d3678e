"""Objects at a provider: reading and writing them there, a file per kind."""

from cyphera_pipelines.api.routes.objects import (
    customers,
    external_accounts,
    invoices,
    payments,
    prices,
    products,
    refunds,
    subscriptions,
    writes,
)

ROUTERS = tuple(
    module.router
    for module in (
        customers,
        products,
        prices,
        subscriptions,
        invoices,
        payments,
        refunds,
        external_accounts,
        writes,
    )
)
"""In the order of the document."""
