from concurrent.futures import ThreadPoolExecutor

from cyphera_pipelines.providers.http.breaker import Breaker


def test_it_opens_when_nothing_was_answered_meanwhile_and_any_answer_closes_it() -> None:
    breaker = Breaker()
    before = breaker.begin()
    assert not breaker.is_open
    breaker.gave_up(before)
    assert breaker.is_open
    breaker.answered()
    assert not breaker.is_open


def test_an_answer_since_the_request_began_keeps_it_closed() -> None:
    breaker = Breaker()
    before = breaker.begin()
    breaker.answered()
    breaker.gave_up(before)
    assert not breaker.is_open
    breaker.gave_up(breaker.begin())
    assert breaker.is_open


def test_once_open_it_stays_open_whoever_else_gives_up() -> None:
    breaker = Breaker()
    early = breaker.begin()
    breaker.answered()
    breaker.gave_up(breaker.begin())
    breaker.gave_up(early)
    assert breaker.is_open


def test_no_answer_of_many_threads_is_missed() -> None:
    breaker = Breaker()
    with ThreadPoolExecutor(8) as threads:
        for _ in range(4_000):
            threads.submit(breaker.answered)
    assert breaker.begin() == 4_000
