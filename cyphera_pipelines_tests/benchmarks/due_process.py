"""A process that takes sources as they are due, as batch runs do one after the other: `... SECONDS LIFE GAP`.

For so many seconds; each batch takes sources for LIFE seconds, and the next begins GAP seconds after it. How long each
source had waited, and what it took, are printed as JSON.
"""

import sys
import time
from uuid import uuid4

import orjson

from cyphera_pipelines.connection_budget import BATCH
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.claims import WORKER_NAME
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.sync.batch import Batch, BatchOptions
from cyphera_pipelines_tests.benchmarks.consumption import measured


def main() -> None:
    """Take what is due."""
    seconds, life, gap = map(float, sys.argv[1:])
    settings = load_settings()
    keyring, waits, unchanged, batches = load_keyring(settings), list[float](), 0, 0
    with measured(settings.home) as consumption:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            worker = uuid4()
            database = open_database(settings, application_name=f"{WORKER_NAME} {worker}", pool_size=BATCH)
            counts = Batch(database, keyring, worker, BatchOptions(seconds=min(life, left))).run()
            database.close()
            waits += counts.waits
            unchanged += counts.unchanged
            batches += 1
            time.sleep(gap)
    result = {"waits": waits, "unchanged": unchanged, "batches": batches, "consumption": consumption}
    print(orjson.dumps(result).decode())


if __name__ == "__main__":
    main()
