"""What is asked for every day is looked up: as a workspace's transaction, and through the views."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.conftest import new_workspace

INVOICES = 20_000
OWED = 100
"""Of them one in so many."""


@pytest.fixture(scope="module")
def workspace(database: Database) -> Iterator[Workspace]:
    """A workspace with many invoices, of which few are open, and as many lines."""
    found = new_workspace(database)
    key = {"id": found.id, "count": INVOICES, "owed": OWED}
    with database.control() as connection:
        connection.execute(
            text(
                "INSERT INTO payments.invoices (workspace_id, provider, livemode, id, created, status, currency, "
                "amount_remaining, content_hash, source_version) "
                "SELECT :id, 'stripe', true, 'in_' || at, now(), CASE WHEN at % :owed = 0 THEN 'open' ELSE 'paid' END, "
                "'eur', 100, CAST('' AS bytea), now() FROM generate_series(1, :count) AS at"
            ),
            key,
        )
        connection.execute(
            text(
                "INSERT INTO payments.invoice_line_items (workspace_id, provider, livemode, id, invoice_id, "
                "line_index, amount, currency, subscription_id, content_hash, source_version) "
                "SELECT :id, 'stripe', true, 'il_' || at, 'in_' || at, 0, 100, 'eur', 'sub_' || at % 1000, "
                "CAST('' AS bytea), now() FROM generate_series(1, :count) AS at"
            ),
            {"id": found.id, "count": INVOICES},
        )
    with database.control() as connection:
        connection.execute(text("ANALYZE payments.invoices, payments.invoice_line_items"))
    yield found
    with database.control() as connection:
        for table in ("invoices", "invoice_line_items"):
            connection.execute(text(f"DELETE FROM payments.{table} WHERE workspace_id = :id"), {"id": found.id})
            connection.execute(text(f"ANALYZE payments.{table}"))


@pytest.mark.parametrize(
    ("question", "index"),
    [
        ("SELECT sum(amount_remaining) FROM analytics.invoices WHERE status = 'open'", "invoices_owed_amounts_idx"),
        (
            "SELECT count(*) FROM payments.invoice_line_items WHERE livemode AND deleted_at IS NULL "
            "AND subscription_id IN ('sub_1', 'sub_2')",
            "invoice_line_items_subscription_id_idx",
        ),
    ],
)
def test_few_of_many_rows_are_looked_up(database: Database, workspace: Workspace, question: str, index: str) -> None:
    with database.tenant(workspace.id) as connection:
        assert index in "\n".join(connection.execute(text(f"EXPLAIN {question}")).scalars())
