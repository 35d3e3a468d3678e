"""How reading tells whether a write has happened: the note that goes with it, and is kept with it."""

from collections.abc import Mapping
from typing import Any

Note = dict[str, Any]
BEGUN = "begun"
"""In a note: the field that holds a moment at which something began, which has to be after the write was sent."""
BY_ID, BY_STATE, BY_ABSENCE, BY_LIST = "by_id", "by_state", "by_absence", "by_list"


def by_id(plural: str, name: str) -> Note:
    """It is there, by the id that it was given."""
    return {"how": BY_ID, "plural": plural, "name": name}


def by_state(plural: str, name: str, **states: Any) -> Note:
    """The object's fields have these values; a list of several means one of them."""
    return {"how": BY_STATE, "plural": plural, "name": name, "states": states}


def by_absence(plural: str, name: str) -> Note:
    """It is not there any more."""
    return {"how": BY_ABSENCE, "plural": plural, "name": name}


def by_list(plural: str, name: str, asked: Mapping[str, Any], moment: str, states: Mapping[str, Any]) -> Note:
    """One object of a list, made since the write was sent, has all that was asked for."""
    return {"how": BY_LIST, "plural": plural, "name": name, "asked": asked, "moment": moment, "states": states}
