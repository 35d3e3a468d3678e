"""The contract of what changed: all of it, each once, no older than it was, and in an order that versions tell."""

import time

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import Change, ObjectKind, Operation, ProviderClient
from cyphera_pipelines_tests.contract.listing import mapped
from cyphera_pipelines_tests.contract.subject import Subject

each_entity = pytest.mark.parametrize("entity", Entity, ids=str)
A_WHILE = 600


def changes_of(client: ProviderClient, entity: Entity, since: float) -> dict[str, Change]:
    """What changed of the entity, by id."""
    told = [change for batch in client.changes([entity], int(since)) for change in batch]
    assert all(change.entity is entity for change in told)
    assert len({change.object_id for change in told}) == len(told), "each once"
    return {change.object_id: change for change in told}


def hash_now(client: ProviderClient, change: Change) -> bytes | None:
    """The hash of the changed object's row as it is now; None if it is gone."""
    page = client.fetch(change)
    client.complete(page)
    objects = client.map_page(page).objects
    return objects[0].content_hash if objects else None


@each_entity
def test_what_came_to_be_is_told(subject: Subject, client: ProviderClient, entity: Entity) -> None:
    object_id = subject.create(entity)
    change = changes_of(client, entity, time.time() - A_WHILE)[object_id]
    assert not change.is_deleted
    assert hash_now(client, change) is not None


@each_entity
def test_what_changed_is_told_with_its_state_or_is_to_be_fetched(
    subject: Subject, client: ProviderClient, entity: Entity
) -> None:
    object_id = subject.update(entity)
    change = changes_of(client, entity, time.time() - A_WHILE)[object_id]
    assert not change.is_deleted
    rows = {obj.id: obj for obj in mapped(client, entity).objects}
    assert hash_now(client, change) == rows[object_id].content_hash
    if change.snapshot is not None:
        told = subject.provider.map_told(subject.credentials, entity, [change.snapshot], version=change.version)
        assert told.objects[0].content_hash == rows[object_id].content_hash


@each_entity
def test_what_is_gone_is_told(subject: Subject, client: ProviderClient, entity: Entity) -> None:
    if not subject.provider.capabilities.supports(ObjectKind(entity.value), Operation.DELETIONS):
        pytest.skip("the provider does not tell of deletions of these")
    object_id = subject.delete(entity)
    if object_id is None:
        pytest.skip("objects of this entity cannot be deleted at the sandbox")
    change = changes_of(client, entity, time.time() - A_WHILE)[object_id]
    assert change.is_deleted or hash_now(client, change) is None
    assert object_id not in subject.ids(entity)


@each_entity
def test_later_states_have_later_versions(subject: Subject, client: ProviderClient, entity: Entity) -> None:
    before = {obj.id: obj.version for obj in mapped(client, entity).objects}
    object_id = subject.update(entity)
    page = client.fetch(changes_of(client, entity, time.time() - A_WHILE)[object_id])
    client.complete(page)
    (after,) = client.map_page(page).objects
    assert after.version >= before[object_id]
    again = {obj.id: obj for obj in mapped(client, entity).objects}[object_id]
    assert again.content_hash == after.content_hash


def test_changes_of_several_entities_come_together(subject: Subject, client: ProviderClient) -> None:
    changed = {(entity, subject.update(entity)) for entity in (Entity.CUSTOMERS, Entity.SUBSCRIPTIONS)}
    told = {
        (change.entity, change.object_id)
        for batch in client.changes(list(Entity), int(time.time() - A_WHILE))
        for change in batch
    }
    assert changed <= told


def test_where_nothing_happened_nothing_is_told(client: ProviderClient) -> None:
    assert [change for batch in client.changes(list(Entity), int(time.time()) + 3_600) for change in batch] == []


def test_looking_costs_a_request_or_two_for_each_way_of_telling(subject: Subject, client: ProviderClient) -> None:
    before = subject.requests()
    list(client.changes(list(Entity), int(time.time())))
    assert subject.requests() - before <= len(subject.provider.entities)
