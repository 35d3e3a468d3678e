"""Odd JSON: values that nobody expects, and every place in an object where one can stand."""

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

TOO_DEEP = "@too-deep@"
"""Stands for a value that nests ten thousand levels deep, which Python cannot write: see `HonestAccount.as_body`."""

_EXAMPLES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**31,
    2**63,
    -(2**63) - 1,
    10**30,
    10**400,
    4_102_444_800,
    1_700_000_000.0,
    float("nan"),
    float("-inf"),
    1e300,
    "",
    "0",
    "NaN",
    "2026-01-01",
    "\x00",
    "a\x00b",
    "\ud800",
    "../account",
    "x" * 3_000,
    TOO_DEEP,
    [],
    {},
    [None],
    [[]],
    {"id": None},
    {"id": "in_other", "object": "invoice"},
    {"data": {}},
    {"object": "list", "data": [5, None, {"id": 7}], "has_more": True},
    {"object": "list", "data": [], "has_more": "yes"},
    {"\x00": {"\ud800": "\x00"}},
)
ODD_VALUES: st.SearchStrategy[Any] = st.sampled_from(_EXAMPLES) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
Path = tuple[str | int, ...]


def paths_in(value: Any, before: Path = ()) -> Iterator[Path]:
    """The way to every value inside, and to the whole."""
    yield before
    entries: Any = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, inner in entries:
        yield from paths_in(inner, (*before, key))


def replaced(value: Any, path: Path, odd: Any) -> Any:
    """The value with something else at the end of the path."""
    if not path:
        return odd
    copied: Any = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = replaced(copied[path[0]], path[1:], odd)
    return copied
