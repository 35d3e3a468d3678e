"""What the demo shows of the synced data: counts, a proof of isolation, and a question that an analyst would ask."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text

from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import synced_tables

REVENUE_BY_MONTH = """
SELECT to_char(date_trunc('month', paid_at), 'YYYY-MM') AS month, currency,
       count(*) AS invoices, sum(amount_paid) AS paid_minor_units
FROM payments.invoices
WHERE status = 'paid' AND deleted_at IS NULL
GROUP BY 1, 2 ORDER BY 1 DESC, 4 DESC LIMIT 6
""".strip()


@dataclass(frozen=True)
class IsolationProof:
    """What one workspace sees of all customers, without any WHERE clause: its own and nobody else's."""

    workspace: str
    own: int
    of_others: int
    in_table: int


def rows_per_table(database: Database, workspaces: list[Workspace]) -> list[tuple[str, list[int]]]:
    """Each synced table's rows in each of the workspaces, in their order."""
    counts: dict[str, list[int]] = {name: [] for name in synced_tables}
    for workspace in workspaces:
        with database.tenant(workspace.id) as connection:
            for name, table in synced_tables.items():
                statement = select(func.count()).select_from(table).where(table.c.deleted_at.is_(None))
                counts[name].append(connection.execute(statement).scalar_one())
    return list(counts.items())


def prove_isolation(database: Database, workspace: Workspace) -> IsolationProof:
    """Count customers as the workspace's role sees them, and as the operator does."""
    customers = synced_tables["customers"]
    everything = select(func.count()).select_from(customers)
    others = everything.where(customers.c.workspace_id != workspace.id)
    with database.tenant(workspace.id) as connection:
        seen = connection.execute(everything).scalar_one()
        of_others = connection.execute(others).scalar_one()
    with database.control() as connection:
        in_table = connection.execute(everything).scalar_one()
    return IsolationProof(workspace.slug, seen - of_others, of_others, in_table)


def revenue_by_month(database: Database, workspace: Workspace) -> list[dict[str, Any]]:
    """`REVENUE_BY_MONTH` as the workspace's analyst would run it."""
    with database.tenant(workspace.id) as connection:
        return [dict(row._mapping) for row in connection.execute(text(REVENUE_BY_MONTH))]


def newest_customers(database: Database, workspace: Workspace, count: int) -> dict[str, str | None]:
    """The names of the workspace's newest customers, by id."""
    table = synced_tables["customers"]
    newest = select(table.c.id, table.c.name).where(table.c.deleted_at.is_(None)).order_by(table.c.created.desc())
    with database.tenant(workspace.id) as connection:
        return {row.id: row.name for row in connection.execute(newest.limit(count))}


def names_of_customers(database: Database, workspace: Workspace, ids: Collection[str]) -> dict[str, str | None]:
    """The names that these customers of the workspace have in the table, by id."""
    table = synced_tables["customers"]
    with database.tenant(workspace.id) as connection:
        rows = connection.execute(select(table.c.id, table.c.name).where(table.c.id.in_(ids)))
        return {row.id: row.name for row in rows}
