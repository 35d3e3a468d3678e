"""File locks, which the kernel takes back when their holder dies, however it dies: none is ever stale."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from cyphera_pipelines.local.errors import EmbeddedPostgresError

GUARD_TIMEOUT_SECONDS = 180.0
POLL_SECONDS = 0.01


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask for `condition` until it holds (True) or `seconds` have passed (False)."""
    attempts = Retrying(
        retry=retry_if_result(lambda holds: not holds),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(POLL_SECONDS),
        retry_error_callback=lambda _: False,
    )
    return attempts(condition)


def open_lock_file(path: Path) -> int:
    """A file descriptor for `flock`; every call makes a lock owner of its own. The caller closes it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def lock_shared(descriptor: int) -> None:
    """Wait for a shared lock."""
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def try_lock_exclusive(descriptor: int) -> bool:
    """Take the exclusive lock if nobody else has any; if somebody has, a shared lock held before is lost."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_unlocked(path: Path) -> bool:
    """Whether no process holds any lock on the file; a file that does not exist is unlocked."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return try_lock_exclusive(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the exclusive lock of `path`.

    Raises EmbeddedPostgresError if another process keeps it for longer than GUARD_TIMEOUT_SECONDS.
    """
    descriptor = open_lock_file(path)
    try:
        if not wait_until(lambda: try_lock_exclusive(descriptor), GUARD_TIMEOUT_SECONDS):
            raise EmbeddedPostgresError(
                f"Another process has been starting or stopping the embedded Postgres for more than "
                f"{GUARD_TIMEOUT_SECONDS:.0f} seconds and holds {path}; end that process and try again."
            )
        yield
    finally:
        os.close(descriptor)
