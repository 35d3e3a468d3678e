"""Who uses a home: of `cyphera up` and of commands that delete or stop what is in it, one at a time."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cyphera_pipelines.local.locks import open_lock_file, try_lock_exclusive
from cyphera_pipelines.model.errors import ConflictError

LOCK, RECORD = "up.lock", "up.json"


@dataclass(frozen=True)
class HomeUse:
    """A command that has the home to itself: which one, as which process, since when, and on which ports."""

    command: str
    pid: int = field(default_factory=os.getpid)
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    ports: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """As in "`cyphera up` (process 4711, since 2026-01-01T12:00:00+00:00, Dagster UI at port 3000)"."""
        ports = "".join(f", {what} at port {port}" for what, port in self.ports.items())
        return f"`{self.command}` (process {self.pid}, since {self.since}{ports})"


@contextmanager
def alone_in(home: Path, use: HomeUse) -> Iterator[None]:
    """Have the home to oneself, until the body ends or this process does, however it ends.

    Raises ConflictError that names whoever has it already.
    """
    home.mkdir(parents=True, exist_ok=True)
    descriptor = open_lock_file(home / LOCK)
    try:
        if not try_lock_exclusive(descriptor):
            raise ConflictError(_occupied(home))
        _write(home / RECORD, use)
        yield
    finally:
        os.close(descriptor)


def _occupied(home: Path) -> str:
    holder = read_use(home)
    if holder is None:
        return f"Another command of Cyphera has {home} to itself. Wait for it to end, then try again."
    return f"{holder} is at work in {home}. Stop it first, with Ctrl-C where it runs or with: kill {holder.pid}"


def read_use(home: Path) -> HomeUse | None:
    """Who has the home to itself, or had it last; None if nobody is known."""
    try:
        return HomeUse(**json.loads((home / RECORD).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _write(record: Path, use: HomeUse) -> None:
    """Whole or not at all, whenever this process dies."""
    unfinished = record.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(asdict(use)), encoding="utf-8")
    unfinished.replace(record)
