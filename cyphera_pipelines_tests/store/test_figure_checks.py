"""What the checks of figures find where something does not add up. That they find nothing otherwise, syncs show."""

from sqlalchemy import text

from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.figure_checks import (
    find_broken_chains,
    find_unlike_aging,
    find_unlike_months,
    find_unlike_revenue,
    find_unlike_sums,
)
from cyphera_pipelines_tests.figures.account import Account

CHECKS = (find_broken_chains, find_unlike_sums, find_unlike_months, find_unlike_aging, find_unlike_revenue)


def test_what_was_changed_by_hand_is_found_with_its_customer(database: Database) -> None:
    account = Account(database)
    for number in (1, 2):
        account.state(sub=f"sub_{number}", customer_id=f"cus_{number}")
    account.build()
    assert [check(database, account.source, livemode=True).count for check in CHECKS] == [0, 0, 0, 0, 0]
    assert [check(database, account.source, livemode=False).count for check in CHECKS] == [0, 0, 0, 0, 0]
    with database.tenant(account.source.workspace_id) as connection:
        connection.execute(text("UPDATE figures.subscription_mrr SET mrr = mrr + 1 WHERE customer_id = 'cus_2'"))
    assert find_unlike_sums(database, account.source, livemode=True).sample_ids == ("cus_2",)
    assert find_broken_chains(database, account.source, livemode=True).count == 0
    with database.tenant(account.source.workspace_id) as connection:
        connection.execute(text("UPDATE figures.mrr_movements SET opening = opening + 1 WHERE customer_id = 'cus_1'"))
    assert find_broken_chains(database, account.source, livemode=True).sample_ids == ("cus_1",)
    assert find_unlike_months(database, account.source, livemode=True).sample_ids == ("usd in 2026-01-01",)
