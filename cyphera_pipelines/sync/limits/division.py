"""Which part of a limit is ours, where several processes use it: writes come first, and readers divide the rest."""

import math
from collections.abc import Iterable, Sequence

from cyphera_pipelines.sync.limits.demand import Wanted

ROOM_FOR_WRITES = 1.25
"""What readers leave to the writes of others, as a multiple of what these make: they do not come evenly."""
LEFT_TO_READERS = 0.05
"""What writes leave of a limit, however many there are, so that a sync goes on."""


def share_of(limit: float, own: Wanted, others: Sequence[Wanted]) -> float:
    """The part, up to 1, of a limit of so many requests per second that is for whoever wants `own`.

    Everybody is left what he wants as long as it is less than an equal part; whoever wants more gets an equal part of
    the rest, so that nothing is left unused. All who go by this together keep to the limit.
    """
    written = sum(each.writes for each in others)
    # Readers are held off by what is written, and writers only by one another.
    if own.reads <= 0:
        left_to_readers = LEFT_TO_READERS if any(each.reads > 0 for each in others) else 0.0
        return _level(limit * (1.0 - left_to_readers), (each.writes for each in others)) / limit
    writes = min(own.writes, _level(limit, (each.writes for each in others)))
    rest = max(LEFT_TO_READERS * limit, limit - ROOM_FOR_WRITES * written - writes)
    return min(1.0, (writes + _level(rest, (each.reads for each in others))) / limit)


def requests_of_all(limit: float, own: Wanted, others: Sequence[Wanted]) -> float:
    """How many requests are made at the limit, by everybody, for each that is made by whoever wants `own`."""
    share = share_of(limit, own, others)
    mine, of_others = own.reads + own.writes, total(others)
    everybody = min(limit, mine + of_others.reads + of_others.writes)
    return max(1.0 / share, everybody / mine if mine > 0 else 1.0)


def _level(limit: float, wanted: Iterable[float]) -> float:
    """What one more gets, who wants as much as there is."""
    left, sharers = limit, sorted(each for each in wanted if each > 0)
    for taken, each in enumerate(sharers):
        equal = left / (len(sharers) - taken + 1)
        if each >= equal:
            return equal
        left -= each
    return left


def total(wanted: Iterable[Wanted]) -> Wanted:
    """All of it together."""
    each = list(wanted)
    return Wanted(math.fsum(one.reads for one in each), math.fsum(one.writes for one in each))
