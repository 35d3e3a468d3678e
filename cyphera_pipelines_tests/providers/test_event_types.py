"""Which provider events are asked for, and what becomes of each type that there is: `docs/stripe-events.md`."""

import re
from fnmatch import fnmatchcase
from itertools import permutations
from typing import Any, get_args

import pytest
import stripe

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.http.clock import ProviderClock
from cyphera_pipelines.providers.stripe.changes import ChangeReader, EventReader, event_type_groups
from cyphera_pipelines.settings import project_root
from cyphera_pipelines_tests.webhooks import event_about

GREATEST_GROUP = 20
EVENTS = EventReader(ProviderClock())
KNOWN_TYPES = get_args(stripe.Event.__annotations__["type"])


def rows_of_the_page() -> list[tuple[list[str], bool]]:
    """(patterns, whether they are read) of every row of the page's first table."""
    page = (project_root() / "docs" / "stripe-events.md").read_text()
    table = page.partition("## Event types")[2].partition("## Lists")[0]
    cells = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    answers = {"read": True, "not read": False}
    return [(re.findall("`([^`]+)`", cell[1]), answers[cell[2].strip()]) for cell in cells]


def rows_for(name: str) -> list[bool]:
    rows = rows_of_the_page()
    exact = [is_read for patterns, is_read in rows if name in patterns]
    return exact or [is_read for patterns, is_read in rows if any(fnmatchcase(name, each) for each in patterns)]


def test_the_page_is_about_the_pinned_version() -> None:
    page = (project_root() / "docs" / "stripe-events.md").read_text()
    assert f"`{stripe.api_version}`" in page
    assert f"each of the {len(KNOWN_TYPES)} " in page


@pytest.mark.parametrize("name", KNOWN_TYPES)
def test_every_event_type_is_asked_for_or_the_page_says_why_not(name: str) -> None:
    asked_for = {each for group in event_type_groups(list(Entity)) for each in group}
    assert rows_for(name) == [name in asked_for]


def test_no_row_is_about_nothing() -> None:
    for patterns, _is_read in rows_of_the_page():
        for pattern in patterns:
            assert any(fnmatchcase(name, pattern) for name in KNOWN_TYPES), pattern


def test_two_requests_ask_for_all_of_them_in_whatever_order_the_entities_come() -> None:
    for entities in permutations(Entity):
        groups = event_type_groups(entities)
        assert len(groups) == 2
        assert max(len(group) for group in groups) <= GREATEST_GROUP
        names = [name for group in groups for name in group]
        assert len(names) == len(set(names))


DISCOUNT = {"id": "di_1", "object": "discount", "customer": "cus_1"}


@pytest.mark.parametrize(
    ("kind", "obj", "changed"),
    [
        ("customer.discount.created", DISCOUNT, [(Entity.CUSTOMERS, "cus_1")]),
        ("customer.discount.deleted", {**DISCOUNT, "deleted": True}, [(Entity.CUSTOMERS, "cus_1")]),
        ("customer.discount.updated", {**DISCOUNT, "customer": {"id": "cus_2"}}, [(Entity.CUSTOMERS, "cus_2")]),
        (
            "customer.discount.created",
            {**DISCOUNT, "subscription": "sub_1"},
            [(Entity.CUSTOMERS, "cus_1"), (Entity.SUBSCRIPTIONS, "sub_1")],
        ),
        ("customer.discount.created", {**DISCOUNT, "customer": None}, []),
        ("customer.discount.created", {**DISCOUNT, "customer": ["cus_1"]}, []),
        ("credit_note.created", {"id": "cn_1", "invoice": "in_1"}, [(Entity.INVOICES, "in_1")]),
        ("credit_note.voided", {"id": "cn_1", "invoice": {"id": "in_1"}}, [(Entity.INVOICES, "in_1")]),
        ("invoice_payment.paid", {"id": "inpay_1", "invoice": "in_1"}, [(Entity.INVOICES, "in_1")]),
    ],
)
def test_what_happens_to_something_else_changes_its_owner_which_has_to_be_fetched(
    kind: str, obj: dict[str, Any], changed: list[tuple[Entity, str]]
) -> None:
    event = event_about(obj, kind)
    reader = ChangeReader(EVENTS)
    told = reader.read_all([event])
    assert [(change.entity, change.object_id) for change in told] == changed
    assert all(change.snapshot is None and not change.is_deleted for change in told)
    assert bool(reader.take_unreadable()) is (obj.get("customer") == ["cus_1"])
