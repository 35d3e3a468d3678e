"""Which request is hit by which fault."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.options import Fault


class Faults:
    """The faults that are switched on, in order: the first that hits a request wins."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self._seed = seed
        self._faults: tuple[Fault, ...] = ()
        self._matched: list[int] = []
        self._hit: list[int] = []
        self.set(faults)

    def set(self, faults: Iterable[Fault]) -> None:
        """Replace all faults; their counts start again."""
        self._faults = tuple(faults)
        self._matched = [0] * len(self._faults)
        self._hit = [0] * len(self._faults)

    def add(self, fault: Fault) -> None:
        """Switch on one more fault; the others keep their counts."""
        self._matched.append(0)
        self._hit.append(0)
        self._faults = (*self._faults, fault)

    def clear(self) -> None:
        """Switch off all faults."""
        self.set(())

    @property
    def active(self) -> tuple[Fault, ...]:
        """The faults that are switched on, spent ones included."""
        return self._faults

    @property
    def hits(self) -> list[int]:
        """How many requests each fault has hit."""
        return list(self._hit)

    def choose(self, path: str, account_id: str | None, limit: int | None, method: str = "GET") -> Fault | None:
        """Return the fault that hits this request, if any. `limit` is its page size parameter."""
        for index, fault in enumerate(self._faults):
            if not fnmatchcase(path, fault.path) or fault.account_id not in (None, account_id):
                continue
            if fault.method not in (None, method):
                continue
            if fault.limit_over is not None and (limit is None or limit <= fault.limit_over):
                continue
            self._matched[index] += 1
            ordinal = self._matched[index] - fault.after
            spent = fault.times is not None and self._hit[index] >= fault.times
            if spent or ordinal < 1 or ordinal % fault.every:
                continue
            if Dice(self._seed, index, self._matched[index]).chance(fault.probability):
                self._hit[index] += 1
                return fault
        return None
