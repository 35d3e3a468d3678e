"""Watching a sync: a bar per entity in a terminal, plain lines elsewhere. All of it goes to stderr."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.store.database import DATABASE_ERRORS, Database
from cyphera_pipelines.store.sessions import get_session

LOOK_EVERY = 0.25
PLAIN_LINE_EVERY = 2.0


EntityCounts = list[tuple[Entity, dict[str, Any]]]
"""Each entity's counts, as the progress column of a session holds them."""


@contextmanager
def watch_session(database: Database, session: Session, key: str) -> Iterator[None]:
    """Show the progress of a session of the source with that key, as anybody sees it in the database, meanwhile."""
    with watch(key, lambda: get_session(database, session.workspace_id, session.id).entity_progress()):
        yield


@contextmanager
def watch(key: str, read: Callable[[], EntityCounts]) -> Iterator[None]:
    """Show the progress that `read` returns while the body runs."""
    console = Console(stderr=True)
    view = _Bars(console, key) if console.is_terminal else _Lines(console, key)
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(read, view, stop), name="watch-progress", daemon=True)
    with view:
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()


def _watch(read: Callable[[], EntityCounts], view: "_Bars | _Lines", stop: threading.Event) -> None:
    is_last = False
    while not is_last:
        is_last = stop.wait(LOOK_EVERY)
        # The body meets the same trouble, and knows what it means.
        with suppress(*DATABASE_ERRORS):
            view.show(read())


class _Bars:
    def __init__(self, console: Console, key: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._key = key
        self._tasks: dict[Entity, TaskID] = {}

    def __enter__(self) -> "_Bars":
        self._progress.start()
        self._starting = self._progress.add_task(f"{self._key} starting", total=None, note="")
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

    def show(self, entities: EntityCounts) -> None:
        """Draw the progress."""
        if entities and not self._tasks:
            self._progress.remove_task(self._starting)
            for name, _counts in entities:
                title = f"{self._key} {name.value}"
                self._tasks[name] = self._progress.add_task(title, total=None, note="")
        for name, counts in entities:
            note = "done" if counts["done"] else ("not complete" if counts["error"] else "")
            self._progress.update(self._tasks[name], completed=counts["fetched"], total=counts["estimated"], note=note)


class _Lines:
    def __init__(self, console: Console, key: str) -> None:
        self._console = console
        self._key = key
        self._shown = ""
        self._shown_at = 0.0

    def __enter__(self) -> "_Lines":
        self._console.print(f"{self._key}: starting", highlight=False)
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def show(self, entities: EntityCounts) -> None:
        """Print the progress if it changed, and not too often."""
        parts = [
            f"{name.value} {counts['fetched']}" + (" done" if counts["done"] else f"/{counts['estimated'] or '?'}")
            for name, counts in entities
        ]
        line = f"{self._key}: {', '.join(parts)}"
        is_last = bool(entities) and all(counts["done"] for _name, counts in entities)
        due = time.monotonic() - self._shown_at >= PLAIN_LINE_EVERY
        if parts and line != self._shown and (due or is_last):
            self._console.print(line, highlight=False, soft_wrap=True)
            self._shown, self._shown_at = line, time.monotonic()
