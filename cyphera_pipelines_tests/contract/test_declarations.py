"""The contract of declarations: complete, and true."""

import re

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.synced_tables import entity_table
from cyphera_pipelines.providers.base import ObjectKind, Operation
from cyphera_pipelines.providers.registry import PROVIDERS, find_provider
from cyphera_pipelines_tests.contract.subject import Subject
from cyphera_pipelines_tests.contract.subjects import SUBJECTS


def test_every_provider_is_held_to_the_contract() -> None:
    assert set(SUBJECTS) == set(PROVIDERS)


def test_it_is_found_by_its_name(subject: Subject) -> None:
    provider = subject.provider
    assert find_provider(provider.name) is provider
    assert re.fullmatch(r"[a-z][a-z0-9_-]*", provider.name)
    assert provider.title


def test_every_entity_says_how_it_is_read(subject: Subject) -> None:
    provider = subject.provider
    assert set(provider.capabilities.reading) == set(provider.entities)
    for entity, reading in provider.capabilities.reading.items():
        columns = {column.name for column in entity_table(entity).columns}
        assert reading.axis is None or reading.axis in columns


def test_every_entity_that_is_synced_is_declared_so(subject: Subject) -> None:
    provider = subject.provider
    for entity in Entity:
        declared = provider.capabilities.supports(ObjectKind(entity.value), Operation.SYNC)
        assert declared is (entity in provider.entities)


def test_columns_of_what_lists_leave_out_are_there(subject: Subject) -> None:
    for entity, column in subject.provider.unlisted_with.items():
        assert column in {each.name for each in entity_table(entity).columns}


def test_options_prove_themselves(subject: Subject) -> None:
    given = subject.credentials.options
    for option in subject.provider.options:
        assert re.fullmatch(option.pattern, option.example)
        assert not option.is_required or re.fullmatch(option.pattern, given[option.name])


def test_credentials_of_the_sandbox_are_usable(subject: Subject) -> None:
    subject.provider.check_access(subject.credentials, None)


def test_the_address_is_where_requests_go(subject: Subject) -> None:
    assert subject.provider.address(subject.credentials) == subject.sandbox.url
    own = subject.provider.address(subject.credentials.model_copy(update={"base_url": None}))
    assert own.endswith(subject.provider.default_host.lstrip("."))


def test_filters_are_of_kinds_that_are_listed(subject: Subject) -> None:
    capabilities = subject.provider.capabilities
    for kind in capabilities.filters:
        assert capabilities.supports(kind, Operation.LIST)
