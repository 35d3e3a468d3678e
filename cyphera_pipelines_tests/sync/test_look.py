"""What a look takes for known: only what the tables hold for certain."""

import math

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import Change
from cyphera_pipelines.store.known_rows import KnownRow
from cyphera_pipelines.sync.look import is_known

AT = 1_700_000_000.0
SNAPSHOT = {"id": "cus_1"}


def row(version: float, *, is_deleted: bool = False) -> KnownRow:
    return KnownRow(b"", version, is_deleted)


@pytest.mark.parametrize(
    ("snapshot", "is_deleted", "found", "known"),
    [
        (SNAPSHOT, False, None, False),
        (SNAPSHOT, False, row(AT - 0.001), False),  # listed in the second in which it changed
        (SNAPSHOT, False, row(AT), True),
        (SNAPSHOT, False, row(AT + 0.5), True),
        (SNAPSHOT, False, row(-math.inf), False),  # nobody knows of when it is
        (SNAPSHOT, False, row(AT, is_deleted=True), False),
        (SNAPSHOT, False, row(AT + 1, is_deleted=True), True),
        # Two events of one second, or one that tells too little: it has to be fetched.
        (None, False, row(AT), False),
        (None, False, row(AT + 0.5), True),
        (None, True, row(AT), False),
        (None, True, row(AT, is_deleted=True), True),
        (None, True, None, False),
    ],
)
def test_a_change_is_known_by_a_row_of_its_version_or_a_later_one(
    snapshot: dict[str, object] | None, is_deleted: bool, found: KnownRow | None, known: bool
) -> None:
    change = Change(Entity.CUSTOMERS, "cus_1", AT, snapshot=snapshot, is_deleted=is_deleted)
    assert is_known(change, found) is known
