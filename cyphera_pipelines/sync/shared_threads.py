"""The threads of a batch in which sources are synced: workspaces share them by turns.

A sync that has begun keeps its thread. So whoever has slow ones must not have all threads, or others wait for hours.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable

from cyphera_pipelines.store.claims import Claim


class SharedThreads:
    """So many threads for syncs of one kind, of which a workspace has `most_of_one` at once at most.

    Of the sources that wait, that one is next whose workspace has the fewest threads; of those, whichever came first.
    """

    def __init__(self, count: int, *, most_of_one: int, name: str) -> None:
        self._count = count
        self._most_of_one = most_of_one
        self._name = name
        self._changed = threading.Condition()
        self._waiting: list[tuple[Claim, Callable[[Claim], None]]] = []
        self._taken: dict[threading.Thread, tuple[Claim, float]] = {}
        self._threads: list[threading.Thread] = []
        self._is_closed = False

    def submit(self, claim: Claim, sync: Callable[[Claim], None]) -> bool:
        """Sync the source when it is its turn; False if none begins any more. `sync` raises no Exception."""
        with self._changed:
            if self._is_closed:
                return False
            self._waiting.append((claim, sync))
            if len(self._threads) < self._count:
                thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}")
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()
            return True

    def seconds_held_up(self) -> float:
        """Where sources wait and all threads are taken: for how long they have been; else 0."""
        with self._changed:
            if not self._waiting or len(self._taken) < self._count:
                return 0.0
            return time.monotonic() - max(since for _claim, since in self._taken.values())

    def close(self) -> list[Claim]:
        """Begin no sync any more. Returns the sources that wait, which are not synced."""
        with self._changed:
            self._is_closed = True
            left = [claim for claim, _sync in self._waiting]
            self._waiting.clear()
            self._changed.notify_all()
            return left

    def join(self) -> None:
        """Wait for the syncs that have begun. Call `close` before."""
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        thread = threading.current_thread()
        while (next_one := self._wait_for_next(thread)) is not None:
            claim, sync = next_one
            try:
                sync(claim)
            finally:
                with self._changed:
                    del self._taken[thread]
                    self._changed.notify_all()

    def _wait_for_next(self, thread: threading.Thread) -> tuple[Claim, Callable[[Claim], None]] | None:
        """The source that this thread is to sync now, once there is one; None if none begins any more."""
        with self._changed:
            while not self._is_closed:
                at = self._whose_turn_it_is()
                if at is not None:
                    claim, sync = self._waiting.pop(at)
                    self._taken[thread] = (claim, time.monotonic())
                    return claim, sync
                self._changed.wait()
            return None

    def _whose_turn_it_is(self) -> int | None:
        threads_of = Counter(claim.workspace_id for claim, _since in self._taken.values())
        turns = [(threads_of[claim.workspace_id], at) for at, (claim, _sync) in enumerate(self._waiting)]
        if not turns:
            return None
        fewest, at = min(turns)
        return at if fewest < self._most_of_one else None
