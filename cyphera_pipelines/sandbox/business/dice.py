"""Cheap, repeatable chance."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")

_REFILL_BELOW = 1 << 64


class Dice:
    """Random numbers that follow from a key alone.

    Seeding `random.Random` costs more than generating a whole object here; one hash gives 512 bits to draw from.
    """

    __slots__ = ("_key", "_pool", "_round")

    def __init__(self, *key: object) -> None:
        self._key = "/".join(map(str, key)).encode()
        self._round = 0
        self._pool = int.from_bytes(blake2b(self._key).digest(), "big")

    def below(self, bound: int) -> int:
        """Return an integer in [0, bound)."""
        if self._pool < _REFILL_BELOW:
            self._round += 1
            self._pool = int.from_bytes(blake2b(self._key + b"#%d" % self._round).digest(), "big")
        self._pool, value = divmod(self._pool, bound)
        return value

    def between(self, low: int, high: int) -> int:
        """Return an integer in [low, high]."""
        return low + self.below(high - low + 1)

    def chance(self, probability: float) -> bool:
        """Return True with the given probability, to a ten-thousandth."""
        return self.below(10_000) < probability * 10_000

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.below(len(options))]

    def hexadecimal(self, digits: int) -> str:
        """Return that many hexadecimal digits."""
        return f"{self.below(16**digits):0{digits}x}"
