"""The server of one data directory: is it there, start it, stop it. The caller holds the guard lock."""

import logging
import os
import shlex
import signal
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2
import psycopg2.extensions

from cyphera_pipelines.connection_budget import budget_of
from cyphera_pipelines.local import sockets
from cyphera_pipelines.local.account import ServerAccount, account_for, allow_access
from cyphera_pipelines.local.cluster import (
    SUPERUSER,
    HomeFiles,
    failure,
    initialise,
    installation,
    is_initialised,
)
from cyphera_pipelines.local.errors import EmbeddedPostgresError
from cyphera_pipelines.local.locks import is_unlocked, open_lock_file, try_lock_exclusive, wait_until
from cyphera_pipelines.settings import load_settings

DATABASES = ("cyphera", "dagster")

# A development server on a machine that also does everything else.
SERVER_SETTINGS = {
    "listen_addresses": "",  # no TCP at all
    "port": str(sockets.PORT),
    "unix_socket_permissions": "0700",
    "cluster_name": "cyphera",  # shown by ps
    "timezone": "UTC",
    "shared_buffers": "256MB",  # allocated as it is used
    # A full sync writes gigabytes of WAL: few checkpoints, since the first change of a page after each of
    # them writes the page whole. wal_compression stays off: without lz4, pglz costs more than it saves.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # fsync, synchronous_commit and full_page_writes keep their defaults (on): a kill -9 must lose nothing.
    "client_connection_check_interval": "2s",  # a killed client's query ends
    # What goes wrong, once, without the statement and its values: synced data does not belong in a log file.
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}

FEWEST_CONNECTIONS = 200  # whoever develops starts more than is planned for; one that is not used costs 16 kB

_START_TIMEOUT_SECONDS = 120.0  # recovering from a crash may have to read max_wal_size of WAL
_STOP_TIMEOUT_SECONDS = 60.0  # the closing checkpoint writes shared_buffers
_PATIENCE_SECONDS = 5.0  # for what should end by itself at once
_LARGEST_LOG_BYTES = 10 * 2**20

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _PidFile:
    """Lines of postmaster.pid as far as there are any: it may be cut off, stale, or copied from elsewhere."""

    process_id: int | None
    data_directory: str
    socket_directory: str
    status: str


def start_server(files: HomeFiles) -> Path:
    """Have the server accept connections, with our databases; returns the directory of its socket."""
    account = account_for(files.data)
    _wait_for_earlier_server(files)
    if _is_gone(files):
        _launch(files, account)
    socket_directory = current_socket_directory(files)
    with closing(_connect(socket_directory)) as connection:
        _create_missing_databases(connection)
    return socket_directory


def stop_server(files: HomeFiles) -> bool:
    """Stop the server and wait until its last process is gone; False if there was none.

    Raises EmbeddedPostgresError if it does not end even when told to drop everything.
    """
    if _is_gone(files):
        return False
    socket_directory = current_socket_directory(files)
    postmaster = _postmaster(files)
    if postmaster is not None:
        _signal([postmaster], signal.SIGINT)  # "fast": roll back, disconnect, checkpoint, end
    patience = _PATIENCE_SECONDS if postmaster is None else _STOP_TIMEOUT_SECONDS
    if not wait_until(lambda: _is_gone(files), patience):
        _signal(_processes(files), signal.SIGQUIT)  # "immediate": the next start recovers from the WAL
        if not wait_until(lambda: _is_gone(files), _PATIENCE_SECONDS):
            raise _still_alive(files)
    if socket_directory != files.data:
        with suppress(OSError):
            socket_directory.rmdir()
    logger.info("stopped the embedded Postgres in %s", files.data)
    return True


def is_server_running(files: HomeFiles) -> bool:
    """Whether a server listens on the home's socket."""
    return files.data.exists() and sockets.is_listening(current_socket_directory(files))


def has_other_clients(files: HomeFiles) -> bool:
    """Whether anybody but this process is connected; a connection that is just ending is waited for."""
    try:
        connection = _connect(current_socket_directory(files))
    except psycopg2.OperationalError:
        return False
    socket_path = f"{_read_pid_file(files).socket_directory}/{sockets.SOCKET_NAME}"

    def only_we() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
            (connected,) = cursor.fetchone() or (0,)
        return bool(connected <= sockets.own_connections(socket_path))

    with closing(connection):
        return not wait_until(only_we, 1.0)


def current_socket_directory(files: HomeFiles) -> Path:
    """Where the socket of the running server is, or that of a server started now would be."""
    if sockets.fits(files.data) and (files.data / sockets.SOCKET_NAME).exists():
        return files.data
    recorded = _read_pid_file(files)
    if recorded.socket_directory and recorded.socket_directory != recorded.data_directory:
        return Path(recorded.socket_directory)
    return sockets.choose_socket_directory(files.data)


def _wait_for_earlier_server(files: HomeFiles) -> None:
    """Return when a server accepts connections or no process of one is alive.

    In between are: one that starts, recovers or stops (its starter may have been killed), and the backends
    of a killed postmaster. These end by themselves unless they are busy; a new server refuses to start
    beside them.
    """

    def settled() -> bool:
        return _is_gone(files) or _accepts_connections(files)

    if wait_until(settled, _PATIENCE_SECONDS):
        return
    if _postmaster(files) is None:
        orphans = _processes(files)
        logger.info("ending %d processes of a server that was killed", len(orphans))
        _signal(orphans, signal.SIGQUIT)
    if not wait_until(settled, _START_TIMEOUT_SECONDS):
        raise _still_alive(files)


def _launch(files: HomeFiles, account: ServerAccount) -> None:
    allow_access(account, files.data, installation())
    server_lock = open_lock_file(files.server_lock)
    try:
        if not try_lock_exclusive(server_lock):
            raise _still_alive(files)
        if not is_initialised(files):
            initialise(files, account, server_lock)
            logger.info("made the data directory %s", files.data)
        files.data.chmod(0o700)  # a copy may have lost it, and the server insists
        socket_directory = sockets.choose_socket_directory(files.data)
        if socket_directory != files.data:
            sockets.make_socket_directory(socket_directory, account)
        _remove_leftovers(files, socket_directory)
        log_start = _rotate_log(files)
        connections = max(FEWEST_CONNECTIONS, budget_of(load_settings()).needed)
        settings = {
            **SERVER_SETTINGS,
            "unix_socket_directories": str(socket_directory),
            "max_connections": str(connections),
        }
        # In the data directory, with relative paths, since pg_ctl pastes them unescaped into a shell command.
        # pg_ctl makes the server the leader of a session of its own: a Ctrl-C here does not reach it.
        launched = account.run(
            [
                str(installation() / "bin" / "pg_ctl"),
                "start",
                "--no-wait",
                "--pgdata=.",
                f"--log={files.log.name}",
                f"--options={shlex.join(f'--{name}={value}' for name, value in settings.items())}",
            ],
            directory=files.data,
            inherited_lock=server_lock,
            timeout_seconds=_START_TIMEOUT_SECONDS,
        )
    finally:
        os.close(server_lock)  # from here on only the server's own processes hold it
    if launched.returncode != 0:
        raise failure(files, "pg_ctl could not start the embedded Postgres", launched.stderr)
    _wait_until_ready(files, log_start)
    logger.info("started the embedded Postgres in %s", files.data)


def _wait_until_ready(files: HomeFiles, log_start: int) -> None:
    settled = wait_until(lambda: _accepts_connections(files) or _is_gone(files), _START_TIMEOUT_SECONDS)
    if settled and not _is_gone(files):
        return
    with files.log.open(encoding="utf-8", errors="replace") as log:
        log.seek(log_start)
        output = log.read()
    what = "ended while it started" if settled else f"is not ready after {_START_TIMEOUT_SECONDS:.0f} seconds"
    raise failure(files, f"The embedded Postgres {what}", output)


def _remove_leftovers(files: HomeFiles, socket_directory: Path) -> None:
    """Remove what a killed server left: a process id in it may be another program's by now."""
    leftovers = [files.data / "postmaster.pid"]
    for directory in {files.data, socket_directory}:
        leftovers += [directory / sockets.SOCKET_NAME, directory / f"{sockets.SOCKET_NAME}.lock"]
    for path in leftovers:
        path.unlink(missing_ok=True)


def _rotate_log(files: HomeFiles) -> int:
    """Start a new log file if the old one is large; returns where the next start will write."""
    if not files.log.exists():
        return 0
    size = files.log.stat().st_size
    if size <= _LARGEST_LOG_BYTES:
        return size
    files.log.replace(files.log.with_suffix(".log.1"))
    return 0


def _is_gone(files: HomeFiles) -> bool:
    # The lock is the truth; the second question is for a server that somebody started by hand.
    return is_unlocked(files.server_lock) and _postmaster(files) is None


def _accepts_connections(files: HomeFiles) -> bool:
    if _read_pid_file(files).status in ("starting", "stopping") or not is_server_running(files):
        return False
    try:
        _connect(current_socket_directory(files)).close()
    except psycopg2.OperationalError as error:  # it starts, recovers or stops
        logger.debug("not yet: %s", error)
        return False
    return True


def _connect(socket_directory: Path) -> psycopg2.extensions.connection:
    connection = psycopg2.connect(
        host=str(socket_directory), port=sockets.PORT, user=SUPERUSER, dbname="postgres", connect_timeout=10
    )
    connection.autocommit = True
    return connection


def _create_missing_databases(connection: psycopg2.extensions.connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        existing = {name for (name,) in cursor.fetchall()}
        for name in DATABASES:
            if name not in existing:
                cursor.execute(f"CREATE DATABASE {name}")


def _read_pid_file(files: HomeFiles) -> _PidFile:
    try:
        lines = (files.data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    fields = [line.strip() for line in lines] + [""] * 8
    return _PidFile(
        process_id=int(fields[0]) if fields[0].isdecimal() else None,
        data_directory=fields[1],
        socket_directory=fields[4],
        status=fields[7],
    )


def _postmaster(files: HomeFiles) -> psutil.Process | None:
    process_id = _read_pid_file(files).process_id
    if process_id is None:
        return None
    with suppress(psutil.Error):
        process = psutil.Process(process_id)
        if _works_in(process, files.data):
            return process
    return None


def _processes(files: HomeFiles) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _works_in(process, files.data)]


def _works_in(process: psutil.Process, data_directory: Path) -> bool:
    """Whether it is a Postgres process of this data directory: they all work in it, wherever it was moved."""
    with suppress(psutil.Error, OSError):
        return process.name() == "postgres" and data_directory.samefile(process.cwd())
    return False


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _still_alive(files: HomeFiles) -> EmbeddedPostgresError:
    identities = ", ".join(str(process.pid) for process in _processes(files)) or "in another container?"
    return EmbeddedPostgresError(
        f"Processes of an earlier server in {files.data} are alive but accept no connections (process ids: "
        f"{identities}): end them, then try again; {files.log} may say why."
    )
