"""Watching a sync: a bar per entity in a terminal, plain lines elsewhere. All of it goes to stderr."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from cyphera_pipelines.cli import services
from cyphera_pipelines.connection_budget import budget_of
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.model.waiting import Waiting
from cyphera_pipelines.store.database import DATABASE_ERRORS, Database
from cyphera_pipelines.store.sessions import get_session
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.turns import what_it_waits_for

LOOK_EVERY = 0.25
PLAIN_LINE_EVERY = 2.0
LONGEST_SILENCE = 4.0
"""Seconds after which a line is printed though nothing has changed."""


@dataclass(frozen=True)
class Seen:
    """What there is to be seen of a sync: each entity's counts, as the progress column of a session holds them."""

    entities: list[tuple[Entity, dict[str, Any]]]
    retries: int = 0
    waiting: Waiting | None = None
    way: str | None = None

    @classmethod
    def of_session(cls, database: Database, session: Session, runs_at_once: int | None) -> "Seen":
        """The session, as anybody sees it in the database; `runs_at_once` is what Dagster allows."""
        return cls(
            session.entity_progress(),
            int(session.progress.get("retries") or 0),
            what_it_waits_for(database, session, runs_at_once),
            session.progress.get("way"),
        )

    @classmethod
    def of_progress(cls, progress: SyncProgress) -> "Seen":
        """The progress of a sync, or a verification, in this process."""
        told = progress.as_json()
        entities = [(entity, told["entities"][entity.value]) for entity in Entity if entity.value in told["entities"]]
        return cls(entities, told["retries"], progress.waiting())

    def remarks(self) -> list[str]:
        """What is not told by counts, a line each."""
        found = []
        if self.retries:
            found.append(f"{counted(self.retries, 'request', 'were')} made again")
        if self.waiting is not None:
            found.append(self.waiting.in_words())
        return found


@contextmanager
def watch_session(database: Database, session: Session, key: str) -> Iterator[None]:
    """Show the progress of a session of the source with that key, as anybody sees it in the database, meanwhile."""
    runs_at_once = budget_of(services.settings()).runs_at_once

    def look() -> Seen:
        return Seen.of_session(database, get_session(database, session.workspace_id, session.id), runs_at_once)

    with watch(key, look):
        yield


@contextmanager
def watch(key: str, look: Callable[[], Seen]) -> Iterator[None]:
    """Show what `look` returns while the body runs."""
    console = Console(stderr=True)
    view = _Bars(console, key) if console.is_terminal else _Lines(console, key)
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(look, view, stop), name="watch-progress", daemon=True)
    with view:
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()


def _watch(look: Callable[[], Seen], view: "_Bars | _Lines", stop: threading.Event) -> None:
    is_last, seen = False, Seen([])
    while not is_last:
        is_last = stop.wait(LOOK_EVERY)
        # The body meets the same trouble, and knows what it means.
        with suppress(*DATABASE_ERRORS):
            seen = look()
        view.show(seen)


class _Bars:
    def __init__(self, console: Console, key: str) -> None:
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._key = key
        self._live = Live(Text(f"{key}: starting"), console=console)
        self._tasks: dict[Entity, TaskID] = {}
        self._began = time.monotonic()

    def __enter__(self) -> "_Bars":
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def show(self, seen: Seen) -> None:
        """Draw the progress."""
        for name, counts in seen.entities:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name.value, total=None, note="")
            note = "done" if counts["done"] else ("not complete" if counts["error"] else "")
            self._progress.update(self._tasks[name], completed=counts["fetched"], total=counts["estimated"], note=note)
        # On lines of their own: a narrow terminal has no room for them beside the bars.
        remarks = [Text(f"  {remark}") for remark in (*([seen.way] if seen.way else []), *seen.remarks())]
        if not self._tasks:
            elapsed = f"{time.monotonic() - self._began:.0f} s"
            self._live.update(Group(Text(f"{self._key}: starting, {elapsed}"), *remarks), refresh=True)
        else:
            self._live.update(Group(Text(self._key), self._progress, *remarks), refresh=True)


class _Lines:
    def __init__(self, console: Console, key: str) -> None:
        self._console = console
        self._key = key
        self._shown = ""
        self._way: str | None = None
        self._began = self._shown_at = time.monotonic()

    def __enter__(self) -> "_Lines":
        self._print(f"{self._key}: starting")
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def show(self, seen: Seen) -> None:
        """Print the progress if it changed, and not too often; and all the same when it does not for a while."""
        if seen.way is not None and seen.way != self._way:
            self._console.print(f"{self._key}: {seen.way}", highlight=False, soft_wrap=True)
            self._way = seen.way
        parts = [
            f"{name.value} {counts['fetched']}" + (" done" if counts["done"] else f"/{counts['estimated'] or '?'}")
            for name, counts in seen.entities
        ]
        line = f"{self._key}: {', '.join(parts) or 'starting'}{''.join(f'; {remark}' for remark in seen.remarks())}"
        is_last = bool(parts) and all(counts["done"] for _name, counts in seen.entities)
        silent_for = time.monotonic() - self._shown_at
        if parts and line != self._shown and (silent_for >= PLAIN_LINE_EVERY or is_last):
            self._print(line)
        elif silent_for >= LONGEST_SILENCE:
            told = f"{self._key}: as before" if line == self._shown else line
            self._print(line, f"{told} ({time.monotonic() - self._began:.0f} s so far)")

    def _print(self, line: str, told: str | None = None) -> None:
        self._console.print(told or line, highlight=False, soft_wrap=True)
        self._shown, self._shown_at = line, time.monotonic()
