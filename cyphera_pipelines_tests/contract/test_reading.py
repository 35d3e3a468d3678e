"""The contract of listing and reading: everything that is there, once, whole, in the promised order."""

from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.synced_tables import child_tables
from cyphera_pipelines.providers.base import (
    Change,
    CredentialsRejectedError,
    Interval,
    PermissionDeniedError,
    ProviderClient,
    ProviderError,
)
from cyphera_pipelines_tests.contract.conftest import Connect
from cyphera_pipelines_tests.contract.listing import listed_ids, mapped, pages
from cyphera_pipelines_tests.contract.subject import Subject

each_entity = pytest.mark.parametrize("entity", Entity, ids=str)


@each_entity
def test_a_list_holds_everything_once(subject: Subject, client: ProviderClient, entity: Entity) -> None:
    ids = listed_ids(client, entity)
    assert len(ids) == len(set(ids))
    assert set(ids) == subject.ids(entity)
    assert ids


@each_entity
def test_small_pages_hold_the_same_as_large_ones(client: ProviderClient, entity: Entity) -> None:
    limit = 7
    small = list(pages(client, entity, limit=limit))
    assert all(len(page.objects) <= limit for page in small)
    ids = [client.listed(entity, obj).id for page in small for obj in page.objects]
    assert ids == listed_ids(client, entity)


@each_entity
def test_a_divided_list_holds_the_same_as_the_whole_one(
    subject: Subject, client: ProviderClient, entity: Entity
) -> None:
    if subject.provider.capabilities.reading[entity].axis is None:
        with pytest.raises(ProviderError):
            client.list_page(entity, interval=Interval(gte=1), cursor=None, limit=10)
        return
    moments = [client.listed(entity, obj).moment for page in pages(client, entity) for obj in page.objects]
    known = [moment for moment in moments if moment is not None]
    assert len(known) == len(moments)
    assert all(newer >= older for newer, older in pairwise(known)), "newest first"
    middle = sorted(known)[len(known) // 2]
    older = listed_ids(client, entity, interval=Interval(lt=middle))
    newer = listed_ids(client, entity, interval=Interval(gte=middle))
    assert older
    assert newer
    assert newer + older == listed_ids(client, entity)


@each_entity
def test_every_object_becomes_a_row(subject: Subject, client: ProviderClient, entity: Entity) -> None:
    rows = mapped(client, entity)
    assert not rows.unmappable
    assert not rows.incomplete
    assert {obj.id for obj in rows.objects} == subject.ids(entity)
    is_test = subject.provider.is_test_mode(subject.credentials)
    assert {obj.livemode for obj in rows.objects} == {is_test is False}
    assert all(obj.version > subject.provider.oldest for obj in rows.objects)
    assert all(set(obj.children) == {table.name for table in child_tables(entity)} for obj in rows.objects)


@each_entity
def test_the_same_object_makes_the_same_row_however_it_is_read(client: ProviderClient, entity: Entity) -> None:
    listed = mapped(client, entity).objects[0]
    page = client.fetch(Change(entity, listed.id, version=0.0))
    client.complete(page)
    (fetched,) = client.map_page(page).objects
    assert fetched.content_hash == listed.content_hash
    assert fetched.values == listed.values
    assert fetched.children == listed.children


@each_entity
def test_what_is_not_there_is_an_empty_page(client: ProviderClient, entity: Entity) -> None:
    page = client.fetch(Change(entity, "nobody_has_this_id", version=0.0))
    assert page.objects == []
    assert page.incomplete == []


@each_entity
def test_an_id_is_not_a_path(client: ProviderClient, entity: Entity) -> None:
    found = list[object]()
    with suppress(ProviderError):
        found += client.fetch(Change(entity, "../customers?limit=1#x y", version=0.0)).objects
    assert found == []


@each_entity
def test_a_forged_cursor_is_no_beginning(client: ProviderClient, entity: Entity) -> None:
    with pytest.raises(ProviderError):
        client.list_page(entity, interval=Interval(), cursor="forged", limit=10)


@each_entity
def test_what_is_no_object_names_nothing(client: ProviderClient, entity: Entity) -> None:
    odd_ones: tuple[Any, ...] = (
        None,
        [],
        "text",
        7,
        {},
        {"id": 3},
        {"id": "x" * 5_000, "created": "soon", "created_at": {}, "date": []},
    )
    for odd in odd_ones:
        listed = client.listed(entity, odd)
        assert (listed.id, listed.moment) == (None, None)


@each_entity
def test_odd_objects_are_reported_and_not_dropped(subject: Subject, client: ProviderClient, entity: Entity) -> None:
    whole = next(pages(client, entity))
    odd: list[Any] = [{**whole.objects[0], "id": None}, {"id": "only_this"}, [], None]
    page = subject.provider.map_told(subject.credentials, entity, [*odd, *whole.objects], version=1e9)
    assert len(page.objects) >= len(whole.objects)
    assert len(page.objects) + len(page.unmappable) == len(whole.objects) + len(odd)
    assert all(obj.reason for obj in page.unmappable)


@each_entity
def test_who_may_not_read_is_told_so(subject: Subject, connect: Connect, entity: Entity) -> None:
    credentials = subject.credentials_without(entity)
    if credentials is None:
        pytest.skip("the provider's keys are not divided by what they may read")
    client = connect(credentials)
    with pytest.raises(PermissionDeniedError):
        client.check_readable(entity)
    with pytest.raises(PermissionDeniedError):
        client.list_page(entity, interval=Interval(), cursor=None, limit=1)


@each_entity
def test_who_may_read_is_let(client: ProviderClient, entity: Entity) -> None:
    client.check_readable(entity)


def test_the_account_is_known_by_its_id(subject: Subject, client: ProviderClient) -> None:
    account = client.account()
    assert account.id
    assert account == client.account()
    assert account.livemode is (subject.provider.is_test_mode(subject.credentials) is False)


def test_a_wrong_key_opens_nothing(subject: Subject, connect: Connect) -> None:
    client = connect(subject.wrong_credentials)
    for ask in (client.account, client.check_events_readable, lambda: client.check_readable(Entity.CUSTOMERS)):
        with pytest.raises(CredentialsRejectedError) as caught:
            ask()
        assert subject.wrong_credentials.api_key.get_secret_value() not in str(caught.value)


def test_the_clock_is_the_providers(client: ProviderClient) -> None:
    client.account()
    first = client.now()
    client.account()
    assert client.now() >= first


def test_limits_are_published(subject: Subject) -> None:
    limits = subject.provider.published_limits(subject.credentials)
    assert limits.account > 0
    assert limits.endpoint > 0
