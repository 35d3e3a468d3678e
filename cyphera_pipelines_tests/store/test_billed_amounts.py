"""How billed amounts are settled; which they are is shown by `sync/test_currencies.py`."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store import billed_amounts
from cyphera_pipelines.store.billed_amounts import settle_billed_amounts
from cyphera_pipelines.store.database import Database


def test_no_item_is_looked_at_once_per_option(
    database: Database, add_source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the planner knows of the tables: after a first load, nothing."""
    source = add_source("sk_test_billed_amounts")
    monkeypatch.setattr(billed_amounts, "_HAS_OPTIONS", "SELECT true")
    plan: list[str] = []

    def explain(
        connection: Connection, cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        if statement.strip().startswith("UPDATE"):
            cursor.execute(f"EXPLAIN {statement}", parameters)
            plan.extend(line for (line,) in cursor.fetchall())
        return statement, parameters

    with database.tenant(source.workspace_id) as connection:
        event.listen(connection, "before_cursor_execute", explain, retval=True)
        settle_billed_amounts(connection, source, datetime.now(UTC), livemode=True)
        assert connection.execute(text("SHOW enable_nestloop")).scalar_one() == "on"
    assert plan
    assert not [line for line in plan if "Nested Loop" in line]
