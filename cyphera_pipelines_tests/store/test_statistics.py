"""The planner's statistics: tables that have grown are looked at, and no others."""

from datetime import datetime

from sqlalchemy import text

from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.statistics import refresh_statistics

DEADLINE_SECONDS = 60.0
MORE_THAN_ANY = 10**9


def looked_at(database: Database) -> dict[str, datetime | None]:
    """When each table was last analyzed by a command; Postgres tells it a little later."""
    statement = "SELECT relname, last_analyze FROM pg_stat_user_tables WHERE schemaname = 'payments'"
    with database.control() as connection:
        return {row.relname: row.last_analyze for row in connection.execute(text(statement))}


def test_tables_that_have_grown_are_looked_at_and_no_others(database: Database) -> None:
    before = looked_at(database)
    created = {"customers": MORE_THAN_ANY, "invoices": MORE_THAN_ANY, "invoice_line_items": MORE_THAN_ANY, "prices": 0}
    grown = {"customers", "invoices", "invoice_line_items"}
    assert set(refresh_statistics(database, created)) == grown

    def changed() -> set[str]:
        return {name for name, moment in looked_at(database).items() if moment != before[name]}

    assert wait_until(lambda: changed() >= grown, DEADLINE_SECONDS)
    assert changed() == grown


def test_after_a_sync_that_created_nothing_nothing_is_looked_at(database: Database) -> None:
    assert refresh_statistics(database, {}) == refresh_statistics(database, {"customers": 0}) == []
