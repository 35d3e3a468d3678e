"""The threads of a batch: which source is synced next, and that no workspace has all of them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

from cyphera_pipelines.store.claims import Claim
from cyphera_pipelines.sync.shared_threads import SharedThreads
from cyphera_pipelines_tests.receiver import wait_for

SLOW, OTHER, THIRD = uuid4(), uuid4(), uuid4()


class Syncs:
    """Syncs that go on until they are told to end."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._may_end: dict[str, threading.Event] = {}

    def of(self, name: str) -> Callable[[Claim], None]:
        self._may_end[name] = threading.Event()

        def sync(_claim: Claim) -> None:
            self.begun.append(name)
            self._may_end[name].wait()

        return sync

    def end(self, *names: str) -> None:
        for name in names or self._may_end:
            self._may_end[name].set()


def claim_of(workspace_id: UUID, provider: str = "stripe") -> Claim:
    now = datetime.now(UTC)
    return Claim(workspace_id, provider, uuid4(), 1, now, 0.0, is_listing_due=False, has_failed=False)


@contextmanager
def threads_and_syncs(count: int, *, most_of_one: int) -> Iterator[tuple[SharedThreads, Syncs]]:
    threads, syncs = SharedThreads(count, most_of_one=most_of_one, name="test"), Syncs()
    try:
        yield threads, syncs
    finally:
        threads.close()
        syncs.end()
        threads.join()


def test_slow_syncs_of_one_workspace_leave_a_thread_for_others() -> None:
    with threads_and_syncs(3, most_of_one=2) as (threads, syncs):
        for number in range(8):
            threads.submit(claim_of(SLOW), syncs.of(f"slow {number}"))
        wait_for(lambda: len(syncs.begun) == 2)
        for number in range(3):
            threads.submit(claim_of(OTHER), syncs.of(f"other {number}"))
            wait_for(lambda name=f"other {number}": name in syncs.begun)  # type: ignore[misc]
            syncs.end(f"other {number}")
        assert syncs.begun == ["slow 0", "slow 1", "other 0", "other 1", "other 2"]


def test_whose_workspace_has_the_fewest_threads_comes_before_who_came_first() -> None:
    with threads_and_syncs(2, most_of_one=2) as (threads, syncs):
        threads.submit(claim_of(SLOW), syncs.of("slow 0"))
        wait_for(lambda: syncs.begun == ["slow 0"])
        threads.submit(claim_of(THIRD), syncs.of("third 0"))
        wait_for(lambda: len(syncs.begun) == 2)
        threads.submit(claim_of(SLOW), syncs.of("slow 1"))
        threads.submit(claim_of(OTHER), syncs.of("other 0"))
        threads.submit(claim_of(OTHER), syncs.of("other 1"))
        for name, next_one in (("third 0", "other 0"), ("other 0", "other 1")):
            syncs.end(name)
            wait_for(lambda name=next_one: name in syncs.begun)  # type: ignore[misc]
        assert "slow 1" not in syncs.begun
        # Both workspaces have none of the other thread: it is the turn of whoever came first.
        threads.submit(claim_of(THIRD), syncs.of("third 1"))
        syncs.end("slow 0")
        wait_for(lambda: len(syncs.begun) == 5)
        assert syncs.begun[4] == "slow 1"


def test_it_is_held_up_only_where_sources_wait_for_threads_that_are_all_taken() -> None:
    with threads_and_syncs(1, most_of_one=1) as (threads, syncs):
        assert threads.seconds_held_up() == 0
        threads.submit(claim_of(SLOW), syncs.of("slow 0"))
        wait_for(lambda: syncs.begun == ["slow 0"])
        assert threads.seconds_held_up() == 0
        threads.submit(claim_of(OTHER), syncs.of("other 0"))
        wait_for(lambda: threads.seconds_held_up() > 0)


def test_what_waits_when_it_is_closed_is_returned_and_not_synced() -> None:
    with threads_and_syncs(1, most_of_one=1) as (threads, syncs):
        waiting = [claim_of(OTHER), claim_of(THIRD)]
        threads.submit(claim_of(SLOW), syncs.of("slow 0"))
        wait_for(lambda: syncs.begun == ["slow 0"])
        for number, claim in enumerate(waiting):
            assert threads.submit(claim, syncs.of(f"waiting {number}"))
        assert threads.close() == waiting
        assert not threads.submit(claim_of(OTHER), syncs.of("too late"))
        syncs.end()
        threads.join()
        assert syncs.begun == ["slow 0"]
