"""Where each column's value comes from, said once: for the mapping, and for the page that people read."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.providers.mapping.values import Getter, path


class Origin(StrEnum):
    """How a column's value comes from the provider's object."""

    MAPPED = "mapped"
    DERIVED = "derived"
    ABSENT = "absent"


@dataclass(frozen=True)
class Rule:
    """Where one column's value stands (`source`, in the provider's words), and what is done with it (`note`)."""

    origin: Origin
    source: str
    note: str
    get: Getter


Rules = Mapping[str, Rule]
"""Rules by column."""


def mapped(*names: str, note: str = "") -> Rule:
    """The value at a path of nested fields, as it is."""
    return Rule(Origin.MAPPED, ".".join(names), note, path(*names))


def derived(source: str, note: str, get: Getter) -> Rule:
    """A value that is made of what the object tells."""
    return Rule(Origin.DERIVED, source, note, get)


def absent(why: str) -> Rule:
    """The provider does not tell this."""
    return Rule(Origin.ABSENT, "", why, _nothing)


def getters_of(table: SyncedTable, rules: Rules) -> dict[str, Getter]:
    """The getters of all of the table's columns; a column without a rule is an error of whoever wrote them."""
    missing = [column.name for column in table.columns if column.name not in rules]
    assert not missing, f"{table.name}: no rules for {missing}"
    return {column.name: rules[column.name].get for column in table.columns}


def _nothing(_obj: dict[str, Any]) -> None:
    return None
