"""A process that takes sources as an installation does, with two batches that take at once: `... SECONDS LIFE GAP`.

For so many seconds; each batch takes sources for LIFE seconds, and the next begins GAP seconds after it takes no more,
while it may go on with a listing. When the first began, how many there were, and what they took are printed as JSON.
"""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import orjson

from cyphera_pipelines.connection_budget import BATCH
from cyphera_pipelines.orchestration.batches import LISTING_BATCHES
from cyphera_pipelines.providers.registry import PROVIDERS
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import Settings, load_settings
from cyphera_pipelines.store.claims import WORKER_NAME
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.sync.batch import Batch, BatchOptions
from cyphera_pipelines_tests.benchmarks.consumption import measured
from cyphera_pipelines_tests.benchmarks.neighbours import MOST_OF_A_WORKSPACE, provider_of

TAKE_AT_ONCE = 2


class Installation:
    """Batches that take sources, as many at once as there may be, and those that only list any more."""

    def __init__(self, settings: Settings, seconds: float, life: float, gap: float) -> None:
        self._settings = settings
        self._keyring = load_keyring(settings)
        self._life, self._gap = life, gap
        self._until = time.monotonic() + seconds
        self._turn = threading.Lock()
        self._listing = 0
        self.batches: list[Batch] = []
        self._running: list[threading.Thread] = []

    def run(self) -> None:
        """Take what is due until the time is up; listings that go on then are ended."""
        with ThreadPoolExecutor(TAKE_AT_ONCE) as places:
            for place in [places.submit(self._take) for _ in range(TAKE_AT_ONCE)]:
                place.result()
        for batch in self.batches:
            batch.stop("The benchmark is over.")
        for running in self._running:
            running.join()

    def _take(self) -> None:
        while (left := self._until - time.monotonic()) > 0:
            takes_no_more = threading.Event()
            running = threading.Thread(target=self._run_batch, args=(min(self._life, left), takes_no_more))
            self._running.append(running)
            running.start()
            takes_no_more.wait()
            time.sleep(self._gap)

    def _run_batch(self, seconds: float, takes_no_more: threading.Event) -> None:
        worker = uuid4()
        database = open_database(self._settings, application_name=f"{WORKER_NAME} {worker}", pool_size=BATCH)

        def may_end() -> bool:
            with self._turn:
                if self._listing >= LISTING_BATCHES and time.monotonic() < self._until:
                    return False
                self._listing += 1
            takes_no_more.set()
            return True

        batch = Batch(database, self._keyring, worker, BatchOptions(seconds=seconds, may_end=may_end))
        self.batches.append(batch)
        try:
            batch.run()
        finally:
            with self._turn:
                self._listing -= takes_no_more.is_set()
            takes_no_more.set()
            database.close()


def main() -> None:
    """Take what is due."""
    seconds, life, gap = map(float, sys.argv[1:])
    # A workspace has one source of a provider: for many of them there have to be many providers.
    PROVIDERS.update({provider_of(number): PROVIDERS["stripe"] for number in range(MOST_OF_A_WORKSPACE)})
    settings, began = load_settings(), datetime.now(UTC)
    with measured(settings.home) as consumption:
        installation = Installation(settings, seconds, life, gap)
        installation.run()
    print(orjson.dumps({"began": began, "batches": len(installation.batches), "consumption": consumption}).decode())


if __name__ == "__main__":
    main()
