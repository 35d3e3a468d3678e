"""Merging the batches of one listing in their order, each beside the staging of the next.

While Postgres merges a batch, another of its processes reads the rows of the next one into staging tables, where nobody
meets them. Only then, and when the batch before it is committed, are they merged: no two merges of a listing ever wait
for each other's rows, and no checkpoint is ahead of its rows.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Batch = TypeVar("Batch")

AT_ONCE = 2
"""Batches that are being staged or merged: a sync has two connections for all of its listings."""


class BatchBeforeFailedError(Exception):
    """The batch before was not committed. It has an error of its own: none that tells anything of this batch's rows."""


class Turn:
    """A batch's place in the order."""

    def __init__(self, before: "Future[None] | None") -> None:
        self._before = before
        self._begun = threading.Event()

    def has_begun(self) -> None:
        """The batch has its connection: those after it may take theirs."""
        self._begun.set()

    def wait(self) -> None:
        """Wait until the batch before is committed; BatchBeforeFailedError if it was not: nor may this one be."""
        if self._before is not None and (error := self._before.exception()) is not None:
            raise BatchBeforeFailedError from error

    def wait_for_begin(self) -> None:
        """Wait until the batch has its connection, or has failed before it had one."""
        self._begun.wait()


def merge_in_order(batches: Callable[[], Iterable[Batch]], merge: Callable[[Batch, Turn], None], *, name: str) -> None:
    """Merge all batches by `merge`, which says when it has begun, and waits for its turn before it touches a row.

    Connections are taken in the order of the batches: whoever waits for its turn waits for one that has its connection.
    Raises what the batches or a merge raise, when no merge is at work any more.
    """

    def carry_out(batch: Batch, turn: Turn) -> None:
        try:
            merge(batch, turn)
        finally:
            turn.has_begun()

    before: Future[None] | None = None
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"merge-{name}") as threads:
        try:
            for batch in batches():
                turn = Turn(before)
                merging = threads.submit(carry_out, batch, turn)
                turn.wait_for_begin()
                if before is not None:
                    before.result()
                before = merging
        finally:
            if before is not None:
                before.result()
