"""The staging tables of a connection: made when they are needed, and empty whenever rows are to go in.

What is staged and merged is undone if Postgres refuses it. After each statement we wait for Postgres, and then for
the interpreter that other threads are using: what can be said in one is, and nothing is said that is not needed.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.store.staging import create_staging, staging_name

_STAGED_IN = "cyphera_staged_in"  # where a connection keeps in which transaction it last staged rows, and where


def begin_staging(connection: Connection, tables: Sequence[SyncedTable]) -> None:
    """From here on `undo_staging` undoes what the transaction does. The tables' staging tables are there, and empty.

    The end of a transaction empties them; within one, we have to. Whatever is not undone is kept with the transaction.
    """
    transaction = connection.get_transaction()
    staged_in, filled = connection.info.get(_STAGED_IN, (None, frozenset[str]()))
    names = frozenset(staging_name(table) for table in tables)
    if staged_in is not transaction:
        filled = frozenset[str]()
    statements = [create_staging(table) for table in tables]
    if full := sorted(names & filled):
        statements.append(f"TRUNCATE {', '.join(f'pg_temp.{name}' for name in full)}")
    connection.execute(text("; ".join((*statements, "SAVEPOINT staging"))))
    connection.info[_STAGED_IN] = (transaction, filled | names)


def undo_staging(connection: Connection) -> None:
    """Undo what was done since the last `begin_staging`, and end that, after a statement that failed, too."""
    connection.execute(text("ROLLBACK TO SAVEPOINT staging; RELEASE SAVEPOINT staging"))
