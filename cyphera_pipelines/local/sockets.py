"""Where the server's Unix socket lies, and who is connected to it."""

import hashlib
import os
import re
import socket
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from cyphera_pipelines.local.account import ServerAccount
from cyphera_pipelines.local.errors import EmbeddedPostgresError

PORT = 5432  # names the socket file; there is no TCP listener
SOCKET_NAME = f".s.PGSQL.{PORT}"

# sizeof(sockaddr_un.sun_path) less the closing zero.
_LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103
_MOST_DESCRIPTORS = 4096  # a process with more of them open does not use the embedded server
# libpq splits a host at its commas, the server its directories too, and anything that a URL would have to
# percent-encode trips up configuration files: such a path is treated like one that is too long.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~-]+")


def fits(directory: Path) -> bool:
    """Whether the socket can lie in `directory`."""
    path = os.fspath(directory / SOCKET_NAME)
    return len(path) <= _LONGEST_SOCKET_PATH and _PLAIN_PATH.fullmatch(path) is not None


def choose_socket_directory(data_directory: Path) -> Path:
    """The data directory if the socket fits there, else a directory of its own among the temporary ones."""
    if fits(data_directory):
        return data_directory
    # The inode keeps a deleted and newly made directory, or a moved one, from sharing a socket with its past.
    identity = f"{data_directory}:{data_directory.stat().st_ino}"
    name = f"cyphera-postgres-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    candidate = Path(tempfile.gettempdir()).resolve() / name
    if fits(candidate):
        return candidate
    return Path("/tmp").resolve() / name  # noqa: S108 (make_socket_directory looks at who owns it)


def make_socket_directory(directory: Path, account: ServerAccount) -> None:
    """Make a private directory outside the data directory.

    Raises EmbeddedPostgresError if somebody else made it: whoever owns it could pose as our server.
    """
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (account.user_id, os.geteuid()):
        raise EmbeddedPostgresError(
            f"{directory} should be a private directory for the database's socket, but another user made it: "
            "remove it, or set CYPHERA_HOME to a shorter path."
        )
    directory.chmod(0o700)
    account.own(directory)


def is_listening(directory: Path) -> bool:
    """Whether a server listens on the socket in `directory`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(os.fspath(directory / SOCKET_NAME))
        except (BlockingIOError, TimeoutError):
            return True  # its queue is full
        except OSError:
            return False
    return True


def own_connections(socket_path: str) -> int:
    """How many connections this very process has to the server that listens at `socket_path`."""
    # Not a listing of /dev/fd: a process that has given up root's rights may not read its own.
    descriptors = range(min(os.sysconf("SC_OPEN_MAX"), _MOST_DESCRIPTORS))
    return sum(_is_connected_to(descriptor, socket_path) for descriptor in descriptors)


def _is_connected_to(descriptor: int, socket_path: str) -> bool:
    with suppress(OSError):  # not connected, or closed meanwhile
        # A duplicate, since the socket object closes what it is given; only of sockets, since it does not when
        # it refuses, and a forgotten duplicate of a lock file's descriptor would keep that lock.
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            with socket.socket(fileno=os.dup(descriptor)) as connection:
                return bool(connection.getpeername() == socket_path)
    return False
