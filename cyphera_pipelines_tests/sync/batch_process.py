"""A batch in a process of its own, for tests that kill or stop it: `batch_process SECONDS`."""

import sys
from uuid import uuid4

from cyphera_pipelines.connection_budget import BATCH
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.claims import WORKER_NAME
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.sync.batch import Batch, BatchOptions


def main() -> None:
    """Take what is due, and print what became of it."""
    settings, worker = load_settings(), uuid4()
    database = open_database(settings, application_name=f"{WORKER_NAME} {worker}", pool_size=BATCH)
    options = BatchOptions(seconds=float(sys.argv[1]), longest_pause=0.0)
    print(Batch(database, load_keyring(settings), worker, options).run().in_words(), flush=True)


if __name__ == "__main__":
    main()
