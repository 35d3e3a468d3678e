from cyphera_pipelines.sync.limits.places import REQUESTS_PER_PLACE, Places


def free(places: Places) -> int:
    """How many more places there are, up to a hundred."""
    count = 0
    while places.is_one_free and count < 100:
        places.take()
        count += 1
    for _ in range(count):
        places.give_back()
    return count


def test_there_are_as_many_as_anybody_wants_until_the_provider_objects() -> None:
    places = Places()
    assert free(places) == 100
    places.refused(11)
    assert free(places) == 8
    places.refused(30)
    assert free(places) == 8


def test_no_more_are_tried_than_are_published() -> None:
    places = Places(2)
    for _ in range(5 * REQUESTS_PER_PLACE):
        places.accepted()
    places.take()
    assert places.is_one_free
    places.take()
    assert not places.is_one_free


def test_one_is_always_left() -> None:
    places = Places()
    places.refused(1)
    places.refused(1)
    assert free(places) == 1


def test_one_more_is_tried_after_many_that_got_through() -> None:
    places = Places()
    places.refused(11)
    for _ in range(REQUESTS_PER_PLACE):
        places.accepted()
    assert free(places) == 9
