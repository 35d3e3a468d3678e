"""The notes that a prepared write carries along, of how reading tells whether it has happened.

A note is JSON, since a write is kept until it is settled, perhaps by another process. `finding` reads them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict


class Condition(TypedDict, total=False):
    """Something that is so once the write has happened: the value at a path of fields is one of those named.

    With `item` it is so of the subscription item of that id, or of any item where the id is None: it has that price
    and quantity, or is not there at all if it `is_removed`.
    """

    at: list[str]
    one_of: list[Any]
    item: str | None
    price: str | None
    quantity: int | None
    is_removed: bool


class Note(TypedDict, total=False):
    """How one request of a write is found.

    `by` mark: something in the list at `path` has the write's key in its metadata; the list is asked for with
    `parameters`, and where it `is_dated` for what is no older than the write. `by` state: the object at `path` (also
    asked for with `parameters`) meets the `conditions`, if there are any, or one of the `events` names the write's key.
    `by` absence: there is no object at `path`. `shows`: what is to be shown afterwards is at that path, and not what
    the write answers with.
    """

    by: Literal["mark", "state", "absence"]
    path: str
    parameters: dict[str, Any]
    is_dated: bool
    conditions: list[Condition]
    events: list[str]
    shows: str


def by_mark(
    path: str, parameters: Mapping[str, Any] | None = None, *, expand: Sequence[str] = (), is_dated: bool = True
) -> Note:
    """A new object, in the list at that path."""
    asked = {**(parameters or {})} | ({"expand[]": [f"data.{name}" for name in expand]} if expand else {})
    return {"by": "mark", "path": path, "parameters": asked, "is_dated": is_dated}


def by_state(path: str, conditions: Sequence[Condition], events: Sequence[str], *, expand: Sequence[str] = ()) -> Note:
    """A change of the object at that path."""
    asked = {"expand[]": list(expand)} if expand else {}
    return {"by": "state", "path": path, "parameters": asked, "conditions": list(conditions), "events": list(events)}


def by_absence(path: str) -> Note:
    """A deletion of the object at that path."""
    return {"by": "absence", "path": path}


def one_of(*values: Any, at: Sequence[str]) -> Condition:
    """The value at the path is one of these."""
    return {"at": list(at), "one_of": list(values)}


def told(parameters: Mapping[str, Any], above: Sequence[str] = ()) -> list[Condition]:
    """The object's fields are as the parameters of the same names: of nested ones those that are named."""
    conditions = list[Condition]()
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            conditions += told(value, (*above, name))
        else:
            conditions.append(one_of(value, at=(*above, name)))
    return conditions
