"""Who waits longest for a connection gets the next one, also if whoever gives one back wants it again at once."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.pool import PoolInOrder

DEADLINE = 60.0


@pytest.fixture
def make_engine(database: Database) -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def make(size: int, timeout: float = DEADLINE) -> Engine:
        engine = create_engine(
            database.engine.url, poolclass=PoolInOrder, pool_size=size, max_overflow=0, pool_timeout=timeout
        )
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.dispose()


def turns_of(engine: Engine) -> PoolInOrder:
    assert isinstance(engine.pool, PoolInOrder)
    return engine.pool


def until_so_many_wait(engine: Engine, count: int) -> None:
    Retrying(
        retry=retry_if_result(lambda waiting: waiting != count), stop=stop_after_delay(DEADLINE), wait=wait_fixed(0.005)
    )(lambda: turns_of(engine).turns.waiting)


def test_connections_are_given_in_the_order_in_which_they_were_asked_for(make_engine: Callable[..., Engine]) -> None:
    engine, served = make_engine(1), list[int]()

    def use(number: int) -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            served.append(number)

    with ThreadPoolExecutor(6) as threads:
        with engine.connect():
            for number in range(5):
                threads.submit(use, number)
                until_so_many_wait(engine, number + 1)
        # At once again, as a thread does that merges one batch after the other: it comes last.
        with engine.connect():
            served.append(99)
    assert served == [0, 1, 2, 3, 4, 99]


def test_a_database_is_in_demand_while_somebody_waits_for_a_connection(
    make_engine: Callable[..., Engine], database: Database
) -> None:
    small = replace(database, engine=make_engine(1))
    with ThreadPoolExecutor(1) as threads:
        with small.engine.connect():
            assert not small.is_in_demand
            waiting = threads.submit(lambda: small.engine.connect().close())
            until_so_many_wait(small.engine, 1)
            assert small.is_in_demand
        waiting.result()
    assert not small.is_in_demand


def test_the_pool_never_has_more_connections_than_its_size_whatever_becomes_of_them(
    make_engine: Callable[..., Engine],
) -> None:
    engine, lock, peak, using = make_engine(3), threading.Lock(), [0], [0]

    def use(number: int) -> None:
        with engine.connect() as connection:
            with lock:
                using[0] += 1
                peak[0] = max(peak[0], using[0])
            if number % 7 == 0:
                connection.invalidate()
            elif number % 11 == 0:
                connection.detach()
            else:
                connection.execute(text("SELECT 1"))
            with lock:
                using[0] -= 1

    with ThreadPoolExecutor(12) as threads:
        for done in [threads.submit(use, number) for number in range(300)]:
            done.result()
    assert peak[0] <= 3
    # Every place was given back: all can be had at once, and no more.
    with engine.connect(), engine.connect(), engine.connect():
        assert turns_of(engine).checkedout() == 3


def test_who_waits_too_long_is_told_and_holds_up_nobody(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(1, timeout=0.2)
    with engine.connect(), pytest.raises(PoolTimeoutError, match=r"None of the pool's 1 connections was free"):
        engine.connect()
    assert turns_of(engine).turns.waiting == 0
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_connection_that_cannot_be_made_leaves_its_place_free(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(1, timeout=0.2)
    refused = create_engine(
        engine.url.set(database="nowhere"), poolclass=PoolInOrder, pool_size=1, max_overflow=0, pool_timeout=0.2
    )
    for _ in range(3):
        with pytest.raises(Exception, match="does not exist"):
            refused.connect()
