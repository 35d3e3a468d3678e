"""Identifiers that look random and yet lead straight back to the number of their object."""

from dataclasses import dataclass

from cyphera_pipelines.sandbox.business.dice import Dice

_BITS = 44
_MASK = (1 << _BITS) - 1
_DIGITS = _BITS // 4
_MULTIPLIER = 0x9E3779B97F5
_INVERSE = pow(_MULTIPLIER, -1, 1 << _BITS)
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class IdSpace:
    """A one-to-one map between numbers below 2^44 and the identifiers of one kind of object in one account."""

    head: str
    offset: int

    def encode(self, number: int) -> str:
        """Return the identifier of object `number`."""
        return f"{self.head}{(number * _MULTIPLIER + self.offset) & _MASK:011x}"

    def decode(self, identifier: str) -> int | None:
        """Return the number that an identifier stands for, or None if it is not of this space."""
        if not identifier.startswith(self.head) or len(identifier) != len(self.head) + _DIGITS:
            return None
        try:
            scrambled = int(identifier[-_DIGITS:], 16)
        except ValueError:
            return None
        number = ((scrambled - self.offset) * _INVERSE) & _MASK
        return number if self.encode(number) == identifier else None


def id_space(prefix: str, tag_length: int, account_id: str, livemode: bool, seed: int) -> IdSpace:
    """Return the space of identifiers that start with `prefix` and a tag of the account."""
    dice = Dice("ids", prefix, account_id, livemode, seed)
    tag = "".join(dice.pick(_ALPHABET) for _ in range(tag_length))
    return IdSpace(prefix + tag, dice.below(1 << _BITS))
