"""The rate that a limit allows, learned from what it refuses.

A limit that refuses has nothing left. So what got through from one refusal to the next is what it was refilled with:
two refusals tell its rate, the better the longer they are apart.
"""

import math

LOWEST_RATE = 0.5
"""Requests per second: what is left of the rate in a storm."""

CUT = 0.85
"""What the first refusal leaves of the rate, which tells nothing yet of how much lower the limit is."""
DEEPEST_CUT = 0.5
"""What each further one leaves of it at least."""
SUPPOSED_SHARE, SUPPOSED_REQUESTS = 0.75, 3.0
"""What is supposed of a limit that refuses: it allows such a share of the rate, and as if so many requests had got
through at it already. Two refusals of one moment would tell anything."""
BELOW_THE_LIMIT = 0.95
"""Where the rate rests, as a share of what the limit seems to allow."""
COUNT_IS_OLD = 40.0
"""Requests that got through since, with which a refusal is the first of something else."""
HAS_FALLEN = 0.85
"""Less than this share of where the rate rested is a limit that has fallen, and not one that is still there."""

FEWEST_BEFORE_PROBING, MOST_BEFORE_PROBING = 80, 480
"""Requests from a cut until more is tried than was allowed: more each time that the limit proves to be still there."""
LONGEST_BEFORE_PROBING = 20.0
"""The same in seconds."""
PROBE_PER_SECOND = 0.12
"""How much of the rate is added per second then."""


class LearnedRate:
    """Requests per second, `published` at most; times are seconds of any steady clock.

    A first refusal costs a little of it. With each one that follows, the rate is what got through since the first. It
    rests a little below that, and after some while tries whether more is allowed by now; if that is refused, it rests
    where it had been, or at what got through meanwhile. While nothing at all gets through, it stays low. Not safe for
    threads by itself.
    """

    def __init__(self, published: float) -> None:
        self._published = published
        self._rests_at = published
        self._before_probing = FEWEST_BEFORE_PROBING
        self._cut = published
        self._climbs_from: float | None = None
        self._counts_from: float | None = None
        self._let_through = 0.0
        self._supposed = published
        self._explained_until = float("-inf")

    def at(self, now: float) -> float:
        """The present rate."""
        if self._climbs_from is None:
            return self._cut
        climb = self._seconds_before_probing()
        beyond = now - self._climbs_from - climb
        if beyond < 0:
            # As TCP CUBIC does: fast at first, slowly where it was too much.
            rate = self._rests_at + max(0.0, self._rests_at - self._cut) * (beyond / climb) ** 3
        else:
            rate = self._rests_at * (1.0 + PROBE_PER_SECOND * beyond)
        return max(LOWEST_RATE, min(self._published, rate))

    def accepted(self, made_at: float, now: float, *, knew_better: bool, stands_for: float = 1.0) -> None:
        """A request got through. `knew_better`: it was made after the last refusal had been heard of.

        `stands_for` is how many it counts for: more than one where others use the limit too, whose own we do not see.
        """
        if self._counts_from is None or made_at <= self._counts_from:
            return
        self._let_through += stands_for
        if self._climbs_from is None and knew_better:
            self._climbs_from = now

    def refused(self, made_at: float, now: float, *, burst: float, stands_for: float = 1.0) -> None:
        """A request did not get through. `burst`: what the provider lets through beyond its rate, so that it hides.

        `stands_for` is as of `accepted`: one refusal among so many requests tells less of the limit.
        """
        rate = self.at(now)
        if made_at <= self._explained_until:
            return
        if self._is_probing(made_at):
            self._rests_at = self._cut = max(self._rests_at, self._learned_by_probing(made_at, rate, burst))
            self._begin_count(made_at, self._rests_at)
            self._before_probing = min(MOST_BEFORE_PROBING, 2 * self._before_probing)
            self._explained_until = now
        elif self._counts_from is None:
            self._begin_count(made_at, SUPPOSED_SHARE * rate)
            self._cut = rate * (1.0 - (1.0 - CUT) / stands_for)
        elif self._let_through >= COUNT_IS_OLD:
            self._begin_count(made_at, SUPPOSED_SHARE * rate)
            self._rests_at = BELOW_THE_LIMIT * rate
            self._cut = rate * (1.0 - (1.0 - CUT) / stands_for)
            self._before_probing = min(MOST_BEFORE_PROBING, 2 * self._before_probing)
        else:
            seconds = max(0.0, made_at - self._counts_from)
            through = (self._let_through + SUPPOSED_REQUESTS) / (seconds + SUPPOSED_REQUESTS / self._supposed)
            if through < HAS_FALLEN * self._rests_at:
                self._before_probing = FEWEST_BEFORE_PROBING
            self._cut = min(rate, max(through, rate * (1.0 - (1.0 - DEEPEST_CUT) / stands_for)))
            if self._let_through:
                self._rests_at = BELOW_THE_LIMIT * self._cut
        self._cut = max(LOWEST_RATE, self._cut)
        self._climbs_from = None

    def _learned_by_probing(self, made_at: float, rate: float, burst: float) -> float:
        """What the limit allows that was met on the way up: what got through, or nearer to where it was met.

        It was met earlier than it refused: what it lets through beyond its rate had to be used up by a rate that grew
        evenly. A limit that hides nothing lets less through than it allows, since it keeps nothing of a pause.
        """
        through = self._let_through / max(1e-3, made_at - (self._counts_from or 0.0))
        hidden = math.sqrt(2.0 * max(0.0, burst - 1.0) * PROBE_PER_SECOND * self._rests_at)
        met = BELOW_THE_LIMIT * (self.at(made_at) - hidden)
        return max(min(rate, through), (self._rests_at + met) / 2)

    def _begin_count(self, made_at: float, supposed: float) -> None:
        self._counts_from, self._let_through, self._supposed = made_at, 0.0, supposed

    def _is_probing(self, moment: float) -> bool:
        return self._climbs_from is not None and moment >= self._climbs_from + self._seconds_before_probing()

    def _seconds_before_probing(self) -> float:
        return min(LONGEST_BEFORE_PROBING, self._before_probing / self._rests_at)
