"""Memory in the hot loop: Python's cyclic garbage collector kept out of it, and little that lies idle.

Parsed pages are many small containers without cycles: the collector walks all of those that are alive, again and again,
and finds nothing. Without it a listing took a tenth less CPU (66 to 59 microseconds per row) and no more memory.
"""

import ctypes
import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_EVERY = 30.0
_M_ARENA_MAX = -8  # malloc.h
_lock = threading.Lock()
_users = 0
_collected_at = 0.0


@contextmanager
def rare_collections() -> Iterator[None]:
    """While any thread is in here, garbage is collected only by `collect_if_due`."""
    global _users, _collected_at
    with _lock:
        _users += 1
        if _users == 1:
            _collected_at = time.monotonic()
            gc.disable()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                gc.enable()


def collect_if_due() -> None:
    """Collect what cycles there are, from failed requests for instance: twice a minute at most."""
    global _collected_at
    with _lock:
        due = time.monotonic() - _collected_at >= COLLECT_EVERY
        if due:
            _collected_at = time.monotonic()
    if due:
        gc.collect()


def share_arenas() -> None:
    """Let the process's threads share two of malloc's arenas, where the C library is glibc.

    By itself it gives each thread one, up to eight per core, and what a thread gives back stays in its arena: 40 MB on
    two cores, and more on more.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)
