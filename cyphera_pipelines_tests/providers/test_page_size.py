from concurrent.futures import ThreadPoolExecutor

import pytest

from cyphera_pipelines.providers.http.page_size import PageSize


def good_pages(size: PageSize, number: int, wanted: int = 100) -> list[int]:
    """Let so many pages arrive; return their sizes."""
    asked = []
    for _ in range(number):
        asked.append(size.at_most(wanted))
        size.arrived(asked[-1], wanted)
    return asked


def test_it_is_what_is_wanted_as_long_as_nothing_is_cut_off() -> None:
    size = PageSize()
    assert good_pages(size, 3) == [100] * 3
    assert size.at_most(7) == 7


def test_it_halves_down_to_one_object() -> None:
    size, asked = PageSize(), []
    for _ in range(9):
        asked.append(size.at_most(100))
        size.cut_off(asked[-1])
    assert asked == [100, 50, 25, 12, 6, 3, 1, 1, 1]


def test_after_five_good_pages_twice_the_size_is_tried_up_to_what_is_wanted() -> None:
    size = PageSize()
    for asked in (100, 50, 25, 12):
        size.cut_off(asked)
    assert size.at_most(100) == 6
    assert good_pages(size, 28) == [*[6] * 5, *[12] * 5, *[24] * 5, *[48] * 5, *[96] * 5, *[100] * 3]


def test_each_size_that_fails_again_makes_the_next_try_wait_twice_as_long() -> None:
    """As where pages of more than thirty never get through."""
    size, asked = PageSize(), []
    for _ in range(200):
        asked.append(size.at_most(100))
        if asked[-1] > 30:
            size.cut_off(asked[-1])
        else:
            size.arrived(asked[-1], 100)
    assert [at for at, each in enumerate(asked) if each > 30] == [0, 1, 7, 18, 39, 80, 161]


def test_a_larger_size_that_proved_good_makes_it_as_hopeful_as_at_first() -> None:
    size = PageSize()
    size.cut_off(100)
    good_pages(size, 5)
    size.cut_off(100)
    assert good_pages(size, 21) == [*[50] * 10, *[100] * 11]
    size.cut_off(100)
    assert good_pages(size, 6) == [*[50] * 5, 100]


def test_a_larger_size_that_fails_before_it_proved_good_counts_as_failed() -> None:
    size = PageSize()
    size.cut_off(100)
    assert good_pages(size, 9) == [*[50] * 5, *[100] * 4]
    size.cut_off(100)
    assert good_pages(size, 11) == [*[50] * 10, 100]


def test_pages_on_their_way_since_another_size_was_asked_for_do_not_count() -> None:
    size = PageSize()
    for _thread in range(8):
        size.cut_off(100)
    assert size.at_most(100) == 50
    for _thread in range(8):
        size.arrived(100, 100)
        size.arrived(25, 100)
    assert good_pages(size, 6) == [*[50] * 5, 100]
    size.cut_off(50)
    assert size.at_most(100) == 25, "smaller than the present size, and cut off all the same"
    assert good_pages(size, 6) == [*[25] * 5, 50], "that was no failed try of a larger size"


@pytest.mark.parametrize("wanted", [1, 3, 100])
def test_threads_at_once_leave_a_size_that_can_be_asked_for(wanted: int) -> None:
    size = PageSize()

    def list_pages(number: int) -> None:
        for page in range(300):
            asked = size.at_most(wanted)
            assert 1 <= asked <= wanted
            if (page + number) % 7 == 0:
                size.cut_off(asked)
            else:
                size.arrived(asked, wanted)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(list_pages, range(8)))
