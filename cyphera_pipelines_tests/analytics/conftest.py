"""A workspace that was synced once, and has odd texts, beside another one."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from cyphera_pipelines.figures.build import build_figures
from cyphera_pipelines.figures.revenue import build_revenue
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session

ODD_NAME = 'a "quoted"\tname,\nwith \\ and ü, and \\N'


@dataclass(frozen=True)
class Synced:
    """Two sources of one account's data, with figures.

    Of the first, one customer's name is odd, one empty, one NULL; one is gone.
    """

    own: Source
    other: Source
    account: SandboxAccount


@pytest.fixture(scope="package")
def synced(database: Database, keyring: Keyring, add_source: Callable[..., Source]) -> Synced:
    account = SandboxAccount(
        api_key="sk_test_analytics",
        account_id="acct_analytics",
        customers=40,
        subscriptions=30,
        invoices=300,
        coupon_share=0.5,
        customer_discount_share=0.3,
        tax_rate_share=0.5,
        tax_id_share=0.5,
    )
    with SandboxServer([account]) as sandbox:
        own, other = (add_source(account.api_key, sandbox.url) for _ in range(2))
        for source in (own, other):
            session = open_session(database, source, SyncRequest())
            run_sync(SyncJob(database, keyring, source, session, SyncRequest()))
            build_figures(database, source, livemode=False)
            build_revenue(database, source, livemode=False)
    with database.control() as connection:
        connection.execute(_MAKE_ODD, {"odd": ODD_NAME, "id": own.workspace_id})
    return Synced(own, other, account)


_MAKE_ODD = text(
    """
    UPDATE payments.customers
    SET name = (CAST(ARRAY[:odd, '', NULL] AS text[]))[number], deleted_at = CASE number WHEN 4 THEN now() END
    FROM (
        SELECT id AS found, row_number() OVER (ORDER BY id) AS number FROM payments.customers WHERE workspace_id = :id
    ) AS numbered
    WHERE workspace_id = :id AND id = found AND number <= 4
    """
)
