import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.sync.limits.demand import Wanted
from cyphera_pipelines.sync.limits.division import LEFT_TO_READERS, ROOM_FOR_WRITES, requests_of_all, share_of

LIMIT = 25.0
rates = st.floats(min_value=0.0, max_value=LIMIT)
wanted = st.builds(Wanted, reads=rates, writes=rates)
readers = st.builds(Wanted, reads=rates)
writers = st.builds(Wanted, writes=rates)


@given(st.lists(wanted, min_size=1, max_size=6))
def test_everybody_has_a_part_and_nobody_more_than_all(everybody: list[Wanted]) -> None:
    for number, own in enumerate(everybody):
        others = everybody[:number] + everybody[number + 1 :]
        assert 0.0 < share_of(LIMIT, own, others) <= 1.0
        assert requests_of_all(LIMIT, own, others) >= 1.0


@given(st.lists(st.one_of(readers, writers), min_size=1, max_size=6))
def test_together_they_keep_to_the_limit(everybody: list[Wanted]) -> None:
    made = 0.0
    for number, own in enumerate(everybody):
        others = everybody[:number] + everybody[number + 1 :]
        made += min(own.reads + own.writes, LIMIT * share_of(LIMIT, own, others))
    assert made <= LIMIT * 1.0001


@given(st.lists(wanted, max_size=5), rates)
def test_who_is_alone_in_writing_is_held_back_by_no_reader(others: list[Wanted], writes: float) -> None:
    reading = [Wanted(reads=each.reads) for each in others]
    assert share_of(LIMIT, Wanted(writes=writes), reading) >= 1.0 - LEFT_TO_READERS


def test_readers_leave_room_for_writes() -> None:
    assert share_of(LIMIT, Wanted(reads=25), [Wanted(writes=4)]) == pytest.approx(1 - 4 * ROOM_FOR_WRITES / LIMIT)


def test_readers_are_left_a_little_by_any_number_of_writes() -> None:
    everybody = [Wanted(reads=25), Wanted(writes=25), Wanted(writes=25)]
    assert share_of(LIMIT, everybody[0], everybody[1:]) == LEFT_TO_READERS
    assert share_of(LIMIT, everybody[1], [everybody[0], everybody[2]]) == pytest.approx((1 - LEFT_TO_READERS) / 2)


def test_who_wants_little_gets_it_and_the_others_share_the_rest() -> None:
    assert share_of(LIMIT, Wanted(reads=25), [Wanted(reads=5), Wanted(reads=25)]) == pytest.approx(10 / LIMIT)
    assert share_of(LIMIT, Wanted(reads=5), [Wanted(reads=25), Wanted(reads=25)]) >= 5 / LIMIT


def test_a_writer_sees_few_of_the_requests() -> None:
    assert requests_of_all(LIMIT, Wanted(writes=5), [Wanted(reads=25)]) == 5.0
    assert requests_of_all(LIMIT, Wanted(reads=25), [Wanted(reads=25)]) == 2.0
