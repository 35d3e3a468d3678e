"""The rate that a limit allows, learned from what it refuses."""

import math

LOWEST_RATE = 0.5
"""Requests per second: what is left of the rate in a storm."""

CUT = 0.93
"""What a refusal leaves of the rate: the first of an episode."""
DEEPEST_CUT = 0.5
"""What each further refusal of an episode leaves of it at least."""
EPISODE = 1.5
"""Seconds within which refusals have one cause."""

BELOW_THE_LIMIT = 0.95
"""Where the rate pauses on its way up, as a share of the rate that was too much."""
HAS_FALLEN = 0.85
"""What is refused at less than this share of where the rate paused tells of a lower limit."""

FEWEST_BEFORE_PROBING, MOST_BEFORE_PROBING = 150, 450
"""Requests from a cut until more is tried than was allowed: more each time that the limit proves to be still there."""
LONGEST_BEFORE_PROBING = 20.0
"""The same in seconds."""
PROBE_PER_SECOND = 0.08
"""How much of the rate is added per second then."""


class LearnedRate:
    """Requests per second, `published` at most; times are seconds of any steady clock.

    A refusal costs a little of it. If more requests of the same moment are refused, the rate falls to what got through
    between them. Then it climbs as a cubic curve does, fast at first and slowly where it was too much, stays there, and
    much later tries whether more is allowed by now. While nothing at all gets through, it stays low. Not safe for
    threads by itself.
    """

    def __init__(self, published: float) -> None:
        self._published = published
        self._pause = published
        self._before_probing = FEWEST_BEFORE_PROBING
        self._cut = published
        self._climbs_from: float | None = None
        self._episode_began: float | None = None
        self._let_through = 0.0

    def at(self, now: float) -> float:
        """The present rate."""
        if self._climbs_from is None:
            return self._cut
        climb = min(LONGEST_BEFORE_PROBING, self._before_probing / self._pause)
        beyond = now - self._climbs_from - climb
        if beyond < 0:
            rate = self._pause + max(0.0, self._pause - self._cut) * (beyond / climb) ** 3
        else:
            rate = self._pause * (1.0 + PROBE_PER_SECOND * beyond)
        return max(LOWEST_RATE, min(self._published, rate))

    def accepted(self, made_at: float, now: float, *, knew_better: bool, stands_for: float = 1.0) -> None:
        """A request got through. `knew_better`: it was made after the last refusal had been heard of.

        `stands_for` is how many it counts for: more than one where others use the limit too, whose own we do not see.
        """
        if self._episode_began is None or made_at <= self._episode_began:
            return
        self._let_through += stands_for
        if self._climbs_from is None and knew_better:
            self._climbs_from = now

    def refused(self, made_at: float, now: float, *, burst: float, stands_for: float = 1.0) -> None:
        """A request did not get through. `burst`: what the provider lets through beyond its rate, so that it hides.

        `stands_for` is as of `accepted`: one refusal among so many requests tells less of the limit.
        """
        rate = self.at(now)
        began = self._episode_began
        if began is not None and (made_at < began + EPISODE or self._climbs_from is None):
            through = (self._let_through + 0.5) / max(1e-3, made_at - began)
            rate = min(rate, max(through, rate * (1.0 - (1.0 - DEEPEST_CUT) / stands_for)))
            if self._let_through:
                self._pause = BELOW_THE_LIMIT * rate
        else:
            self._note_limit(rate, burst, is_first=began is None)
            rate *= 1.0 - (1.0 - CUT) / stands_for
            self._episode_began, self._let_through = made_at, 0.0
        self._cut = max(LOWEST_RATE, rate)
        self._climbs_from = None

    def _note_limit(self, rate: float, burst: float, *, is_first: bool) -> None:
        """So much was too much: decide where to pause on the way up, and for how long."""
        if is_first or rate < HAS_FALLEN * self._pause:
            self._before_probing = FEWEST_BEFORE_PROBING
        else:
            self._before_probing = min(MOST_BEFORE_PROBING, 2 * self._before_probing)
        if rate <= self._pause:
            self._pause = BELOW_THE_LIMIT * rate
        else:
            # The limit was met earlier: the burst had to be used up first, by a rate that grew evenly.
            hidden = math.sqrt(2.0 * burst * PROBE_PER_SECOND * self._pause)
            self._pause = max(self._pause, BELOW_THE_LIMIT * (rate - hidden))
