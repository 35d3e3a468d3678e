"""Who uses the server: handles within this process, a shared file lock between processes."""

import atexit
import itertools
import logging
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg2

from cyphera_pipelines.local import sockets
from cyphera_pipelines.local.cluster import SUPERUSER, HomeFiles
from cyphera_pipelines.local.errors import EmbeddedPostgresError
from cyphera_pipelines.local.locks import exclusive, lock_shared, open_lock_file, try_lock_exclusive
from cyphera_pipelines.local.server import has_other_clients, is_server_running, start_server, stop_server

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One use of the server by this process, from `start` until `release` or the end of the process.

    A forked child has no part in it: its `release` does nothing, and it calls `start` for a use of its own.
    """

    directory: Path
    """The data directory, `<home>/postgres`."""
    socket_directory: Path
    """What libpq calls the host."""
    number: int = field(repr=False)
    """Tells the uses within one process apart."""

    def url(self, database: str = "cyphera") -> str:
        """The URL for SQLAlchemy: `postgresql+psycopg2://postgres@/cyphera?host=...&port=5432`."""
        return self._url("postgresql+psycopg2", database)

    def psql_url(self, database: str = "cyphera") -> str:
        """The URL for psql and everything else built on libpq: `postgresql://postgres@/cyphera?host=...`."""
        return self._url("postgresql", database)

    def release(self) -> None:
        """Give the use back; a second call does nothing.

        The last process to do so stops the server, unless somebody else is connected (a person's psql) or it
        is to be kept running. Raises EmbeddedPostgresError if the server does not stop.
        """
        with _registry_lock:
            hold = _holds.get(self.directory)
            if hold is None or self.number not in hold.numbers:
                return
            hold.numbers.discard(self.number)
            if not hold.numbers:
                del _holds[self.directory]
                _leave(hold)

    def _url(self, scheme: str, database: str) -> str:
        # The port is named because a PGPORT in somebody's environment would name another socket.
        host = quote(os.fspath(self.socket_directory))
        return f"{scheme}://{SUPERUSER}@/{quote(database)}?host={host}&port={sockets.PORT}"


@dataclass
class _Hold:
    """This process' shared lock on one home's server."""

    files: HomeFiles
    descriptor: int
    numbers: set[int] = field(default_factory=set)

    def is_current(self) -> bool:
        """False if the home was deleted (and perhaps made anew) since."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), self.files.users_lock.stat())
        except FileNotFoundError:
            return False


_numbers = itertools.count()
_holds: dict[Path, _Hold] = {}
_registry_lock = threading.RLock()


def start(home: Path, *, keep_running: bool = False) -> EmbeddedPostgres:
    """Use the server of `home`, making its data directory and starting it as needed.

    The databases `cyphera` and `dagster` exist afterwards. With `keep_running` the server outlives its users
    until `stop`. Raises EmbeddedPostgresError, which says what to do.
    """
    files = HomeFiles(home.expanduser().resolve())
    with _registry_lock, _plain_errors(files):
        files.home.mkdir(parents=True, exist_ok=True)
        with exclusive(files.guard_lock):
            hold = _hold(files)
            try:
                socket_directory = start_server(files)
                if keep_running:
                    files.keep_marker.touch()
            except BaseException:
                if not hold.numbers:
                    os.close(_holds.pop(files.data).descriptor)
                raise
        handle = EmbeddedPostgres(files.data, socket_directory, next(_numbers))
        hold.numbers.add(handle.number)
        return handle


def stop(home: Path) -> bool:
    """Stop the server of `home`, whoever uses it and even if it was to be kept running.

    Returns False if it was not running. Raises EmbeddedPostgresError if it does not stop.
    """
    files = HomeFiles(home.expanduser().resolve())
    with _registry_lock, _plain_errors(files):
        if not files.data.exists():
            return False
        with exclusive(files.guard_lock):
            files.keep_marker.unlink(missing_ok=True)
            return stop_server(files)


def is_used_by_others(home: Path) -> bool:
    """Whether another process of ours uses the server of `home`, or anybody but this process is connected to it."""
    files = HomeFiles(home.expanduser().resolve())
    with _registry_lock, _plain_errors(files):
        if not files.home.exists():
            return False
        # Under the guard lock nobody arrives between this question and its answer.
        with exclusive(files.guard_lock):
            hold = _holds.get(files.data)
            descriptor = hold.descriptor if hold is not None else open_lock_file(files.users_lock)
            try:
                return not try_lock_exclusive(descriptor) or has_other_clients(files)
            finally:
                if hold is not None:
                    lock_shared(descriptor)
                else:
                    os.close(descriptor)


def is_running(home: Path) -> bool:
    """Whether a server listens on the socket of `home`. Changes nothing."""
    files = HomeFiles(home.expanduser().resolve())
    with _plain_errors(files):
        return is_server_running(files)


def _hold(files: HomeFiles) -> _Hold:
    hold = _holds.get(files.data)
    if hold is not None and hold.is_current():
        return hold
    if hold is not None:
        os.close(hold.descriptor)
    descriptor = open_lock_file(files.users_lock)
    lock_shared(descriptor)  # never waits: it is held exclusively only under the guard lock, which is ours
    _holds[files.data] = _Hold(files, descriptor)
    return _holds[files.data]


def _leave(hold: _Hold) -> None:
    try:
        if not hold.is_current():
            return
        with _plain_errors(hold.files), exclusive(hold.files.guard_lock):
            # Under the guard lock nobody can arrive between this question and its answer.
            if not try_lock_exclusive(hold.descriptor):
                logger.debug("other processes use the embedded Postgres in %s", hold.files.data)
            elif hold.files.keep_marker.exists() or has_other_clients(hold.files):
                logger.info("leaving the embedded Postgres in %s running", hold.files.data)
            else:
                stop_server(hold.files)
    finally:
        os.close(hold.descriptor)


@contextmanager
def _plain_errors(files: HomeFiles) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise EmbeddedPostgresError(
            f"The embedded Postgres in {files.home} may not be used by this user ({error}): run as the user "
            "that created it, or set CYPHERA_HOME to another directory."
        ) from error
    except (OSError, subprocess.SubprocessError, psutil.Error, psycopg2.Error) as error:
        raise EmbeddedPostgresError(
            f"The embedded Postgres in {files.home} cannot be used ({str(error).strip()}): set that right, "
            "or set CYPHERA_HOME to another directory."
        ) from error


@atexit.register
def _leave_all() -> None:
    with _registry_lock:
        while _holds:
            _, hold = _holds.popitem()
            try:
                _leave(hold)
            except EmbeddedPostgresError as error:
                logger.warning("%s", error)


def _forget_all() -> None:
    """In a forked child: the locks are the parent's, so close (not unlock) this copy of their descriptors."""
    global _registry_lock
    _registry_lock = threading.RLock()
    for hold in _holds.values():
        os.close(hold.descriptor)
    _holds.clear()


# No fork while another thread starts or stops a server: the child would hold the guard lock for ever.
os.register_at_fork(
    before=lambda: _registry_lock.acquire() and None,
    after_in_parent=lambda: _registry_lock.release(),
    after_in_child=_forget_all,
)
