"""Which of two states of a row is the newer one: conditions on `source_version`, in SQL.

A stored version that lies in the future, by more than clocks may differ, says nothing: some provider's clock was wrong,
or somebody's hand. Any state that is read replaces it, or else the row could not change until that time has come.
"""

from math import isfinite

BELIEVED_AHEAD = "interval '10 minutes'"

_EARLIEST, _LATEST = -62_135_596_800.0, 253_402_300_799.0  # the years 1 to 9999, in seconds since 1970


def is_unbelievable(stored: str) -> str:
    """Whether the stored version counts as unknown."""
    return f"{stored} > now() + {BELIEVED_AHEAD}"


def may_follow(stored: str, new: str) -> str:
    """Whether a state of version `new` may replace one of version `stored`: it is not older."""
    return f"({stored} <= {new} OR {is_unbelievable(stored)})"


def is_older(stored: str, new: str) -> str:
    """Whether the stored version is to make way for `new`, which is another one."""
    return f"({stored} < {new} OR {is_unbelievable(stored)})"


def seconds_of(stored: str) -> str:
    """The stored version in seconds since 1970; negative infinity if it counts as unknown: older than any other."""
    epoch = f"CAST(extract(epoch FROM {stored}) AS float8)"
    return f"CASE WHEN {is_unbelievable(stored)} THEN CAST('-infinity' AS float8) ELSE {epoch} END"


def storable_moment(seconds: float) -> float:
    """The moment, in seconds since 1970, if Postgres and everybody else can hold it, or else the nearest one."""
    return min(max(seconds, _EARLIEST), _LATEST) if isfinite(seconds) else _EARLIEST
