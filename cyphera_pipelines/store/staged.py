"""The staging tables of a connection: made when they are needed, and empty whenever rows are to go in."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.store.staging import create_staging, staging_name

_STAGED_IN = "cyphera_staged_in"  # where a connection keeps in which transaction it last staged rows, and where


def empty_staging(connection: Connection, tables: Sequence[SyncedTable]) -> None:
    """Make the staging tables if there are none yet. The end of a transaction empties them; within one, we have to."""
    # All in one go: for each answer of Postgres' we may wait for the interpreter that other threads are using.
    connection.execute(text("; ".join(create_staging(table) for table in tables)))
    transaction = connection.get_transaction()
    staged_in, filled = connection.info.get(_STAGED_IN, (None, frozenset[str]()))
    names = {staging_name(table) for table in tables}
    if staged_in is not transaction:
        filled = frozenset[str]()
    if full := sorted(names & filled):
        connection.execute(text(f"TRUNCATE {', '.join(f'pg_temp.{name}' for name in full)}"))
    connection.info[_STAGED_IN] = (transaction, filled | names)
