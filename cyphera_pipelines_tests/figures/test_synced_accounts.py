"""Figures of accounts that were synced from the sandboxes: they add up, and agree with what the provider says."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from cyphera_pipelines.figures.build import build_figures
from cyphera_pipelines.figures.rules import set_rules
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import ChargebeeSite, SandboxAccount
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.figures.synced import synced

ACCOUNTS: dict[str, SandboxAccount | ChargebeeSite] = {
    "stripe": SandboxAccount(
        api_key="sk_test_figures", account_id="acct_figures", customers=60, subscriptions=80, invoices=400
    ),
    "chargebee": ChargebeeSite(
        site="figures-test", api_key="test_figures", customers=60, subscriptions=110, invoices=240
    ),
}


@pytest.fixture(scope="module", params=ACCOUNTS)
def source(
    request: pytest.FixtureRequest, database: Database, keyring: Keyring, add_source: Callable[..., Source]
) -> Source:
    return synced(ACCOUNTS[request.param], database, keyring, add_source)


def test_movements_add_up_and_building_again_writes_nothing(database: Database, source: Source) -> None:
    built = build_figures(database, source, livemode=False)
    assert built.was_full
    assert built.written > built.customers > 0
    with database.tenant(source.workspace_id) as connection:
        assert connection.execute(_PRESENT).all() == connection.execute(_CLOSING).all() != []
        assert connection.execute(_JUMPS).all() == []
    for full in (True, False):
        again = build_figures(database, source, livemode=False, full=full)
        assert (again.written, again.removed) == (0, 0)
    assert build_figures(database, source, livemode=True).written == 0


def test_chargebee_says_the_same_of_each_subscription(database: Database, source: Source) -> None:
    """It leaves the tax in, and knows nothing of ends and trials that the sandbox's clock has not come to."""
    if source.provider != "chargebee":
        pytest.skip("Stripe does not tell what a subscription brings in a month")
    set_rules(database, find_workspace(database, source.workspace_slug), "cyphera", {"inclusive_tax": "keep"})
    build_figures(database, source, livemode=False)
    with database.tenant(source.workspace_id) as connection:
        rows = connection.execute(_SUBSCRIPTIONS).all()
    assert len(rows) > 60
    assert sum(row.mrr > 0 for row in rows) > 40
    assert [tuple(row) for row in rows if row.mrr != row.told] == []


_PRESENT = text(
    """
    SELECT customer_id, currency, sum(mrr) AS mrr FROM figures.subscription_mrr
    WHERE valid_to IS NULL GROUP BY 1, 2 HAVING sum(mrr) > 0 ORDER BY 1, 2
    """
)
_CLOSING = text(
    """
    SELECT * FROM (
        SELECT DISTINCT ON (customer_id, currency) customer_id, currency, closing AS mrr FROM figures.mrr_movements
        ORDER BY customer_id, currency, day DESC
    ) AS last WHERE mrr > 0 ORDER BY 1, 2
    """
)
_JUMPS = text(
    """
    SELECT * FROM (
        SELECT *, lag(closing, 1, 0::bigint) OVER (PARTITION BY customer_id, currency ORDER BY day) AS closing_before
        FROM figures.mrr_movements
    ) AS followed
    WHERE opening <> closing_before OR closing <> opening + change OR closing < 0
    """
)
_SUBSCRIPTIONS = text(
    """
    SELECT id, provider_status, coalesce(sum(figure.mrr), 0) AS mrr, CAST(raw ->> 'mrr' AS numeric) AS told
    FROM payments.subscriptions
    LEFT JOIN figures.subscription_mrr AS figure ON figure.subscription_id = id AND figure.valid_to IS NULL
    WHERE provider_status NOT IN ('non_renewing', 'in_trial') AND deleted_at IS NULL
    GROUP BY id, provider_status, raw
    """
)
