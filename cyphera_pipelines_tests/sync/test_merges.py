"""A listing's batches are merged in their order, each beside the staging of the next."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.sync.merges import BatchBeforeFailedError, Turn, merge_in_order

PATIENCE = 60.0


class NothingLeftError(Exception):
    """What the batches, or a merge, come to."""


@given(st.lists(st.booleans(), max_size=12))
def test_batches_are_merged_in_their_order_whether_they_are_staged_ahead_or_not(ahead: list[bool]) -> None:
    merged = list[int]()

    def merge(batch: int, turn: Turn) -> None:
        if not ahead[batch]:
            turn.wait()
        turn.has_begun()
        turn.wait()
        assert merged == list(range(batch))
        merged.append(batch)

    merge_in_order(lambda: iter(range(len(ahead))), merge, name="numbers")
    assert merged == list(range(len(ahead)))


def test_the_next_batch_is_staged_while_one_is_merged_and_the_one_after_that_is_not_begun() -> None:
    staged = [threading.Event() for _ in range(3)]
    merged = list[int]()

    def merge(batch: int, turn: Turn) -> None:
        turn.has_begun()
        staged[batch].set()
        turn.wait()
        if batch == 0:
            assert staged[1].wait(PATIENCE), "the second batch is not staged while the first one is merged"
            assert not staged[2].is_set()
        merged.append(batch)

    merge_in_order(lambda: iter(range(3)), merge, name="numbers")
    assert merged == [0, 1, 2]


def test_no_batch_takes_a_connection_before_the_one_that_it_waits_for() -> None:
    places, begun = threading.Semaphore(1), list[int]()

    def merge(batch: int, turn: Turn) -> None:
        with places:  # the only connection that there is
            begun.append(batch)
            turn.has_begun()
            turn.wait()

    merge_in_order(lambda: iter(range(20)), merge, name="numbers")
    assert begun == list(range(20))


@pytest.mark.parametrize("has_begun", [True, False])
def test_what_follows_a_failed_merge_is_not_merged(has_begun: bool) -> None:
    merged, taken = list[int](), list[int]()

    def batches() -> Iterator[int]:
        for batch in range(10):
            taken.append(batch)
            yield batch

    def merge(batch: int, turn: Turn) -> None:
        if batch == 2 and not has_begun:
            raise NothingLeftError("no connection")
        turn.has_begun()
        turn.wait()
        if batch == 2:
            raise NothingLeftError("refused")
        merged.append(batch)

    with pytest.raises(NothingLeftError):
        merge_in_order(batches, merge, name="numbers")
    assert merged == [0, 1]
    assert len(taken) <= 4


def test_a_failed_merge_is_not_taken_for_trouble_with_the_rows_of_the_next_batch() -> None:
    told, next_is_staged = list[type[BaseException]](), threading.Event()

    def merge(batch: int, turn: Turn) -> None:
        turn.has_begun()
        if batch == 0:
            assert next_is_staged.wait(PATIENCE)
            raise NothingLeftError("refused")
        next_is_staged.set()
        try:
            turn.wait()
        except Exception as error:
            told.append(type(error))
            raise

    with pytest.raises(NothingLeftError, match="refused"):
        merge_in_order(lambda: iter(range(5)), merge, name="numbers")
    assert told == [BatchBeforeFailedError]


def test_what_came_before_the_batches_end_in_an_error_is_merged() -> None:
    merged = list[int]()

    def batches() -> Iterator[int]:
        yield from range(3)
        raise NothingLeftError("the provider is gone")

    def merge(batch: int, turn: Turn) -> None:
        turn.has_begun()
        turn.wait()
        merged.append(batch)

    with pytest.raises(NothingLeftError, match="the provider is gone"):
        merge_in_order(batches, merge, name="numbers")
    assert merged == [0, 1, 2]


def test_a_failed_merge_tells_more_than_the_end_of_the_batches() -> None:
    def batches() -> Iterator[int]:
        yield 0
        raise NothingLeftError("the provider is gone")

    def merge(_batch: int, turn: Turn) -> None:
        turn.has_begun()
        raise NothingLeftError("the database is gone")

    with pytest.raises(NothingLeftError, match="the database is gone"):
        merge_in_order(batches, merge, name="numbers")
