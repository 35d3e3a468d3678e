"""Carries a purge out, a row at a time, for a test that kills it in the middle.

Usage: python -m cyphera_pipelines_tests.orchestration.purge_process PURGE_ID
"""

import sys
from uuid import UUID

from dagster import DagsterInstance

from cyphera_pipelines.orchestration import purging
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store import purges
from cyphera_pipelines.store.database import open_database


def main(purge_id: str) -> None:
    purges.ROWS_AT_ONCE = 1
    purging.SETTLED_AFTER = 0.0
    database = open_database(load_settings())
    purge = purges.find_purge(database, UUID(purge_id))
    with DagsterInstance.get() as instance:
        purging.carry_out_purge(database, instance, purge, within=600.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
