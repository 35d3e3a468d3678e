"""Having a write to oneself for as long as its provider takes, and no longer than a moment after one's process died."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cyphera_pipelines.model.writes import Write
from cyphera_pipelines.store.database import DATABASE_ERRORS, Database
from cyphera_pipelines.store.provider_writes import hold_on

BUSY_FOR = 20.0
"""Seconds for which whoever takes a write up has it, unless he says again that he is at work on it."""
SAID_EVERY = 6.0
MOST = 180.0
"""Seconds after which nobody is believed to be at work on one write any more."""
_log = logging.getLogger(__name__)


@contextmanager
def holding(database: Database, write: Write) -> Iterator[None]:
    """Go on having the write, which was taken up for `BUSY_FOR` seconds, until the context is left."""
    is_over = threading.Event()
    holder = threading.Thread(target=_hold, args=(database, write, is_over), name="hold-write", daemon=True)
    holder.start()
    try:
        yield
    finally:
        is_over.set()


def _hold(database: Database, write: Write, is_over: threading.Event) -> None:
    until = time.monotonic() + MOST
    while not is_over.wait(SAID_EVERY) and time.monotonic() < until:
        try:
            hold_on(database, write, busy_for=BUSY_FOR)
        except DATABASE_ERRORS as error:
            # Who settles it notices if somebody else has it by then.
            _log.warning("Write %s could not be held on to: %s", write.id, type(error).__name__)
