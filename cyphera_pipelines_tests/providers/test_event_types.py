"""Which provider events are asked for."""

from itertools import permutations
from typing import get_args

import stripe

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.stripe.changes import event_type_groups

GREATEST_GROUP = 20
# A preview of an invoice, without an id.
NOT_OBJECTS = {"invoice.upcoming"}


def test_every_event_type_of_an_entity_that_the_package_knows_is_asked_for() -> None:
    known = get_args(stripe.Event.__annotations__["type"])
    objects = ("customer", "customer.subscription", "invoice", "price", "product")
    wanted = {name for name in known if name.rpartition(".")[0] in objects} - NOT_OBJECTS
    assert "invoice.payment_attempt_required" in wanted
    assert {name for group in event_type_groups(list(Entity)) for name in group} == wanted


def test_two_requests_ask_for_all_of_them_in_whatever_order_the_entities_come() -> None:
    for entities in permutations(Entity):
        groups = event_type_groups(entities)
        assert len(groups) == 2
        assert max(len(group) for group in groups) <= GREATEST_GROUP
        names = [name for group in groups for name in group]
        assert len(names) == len(set(names))
