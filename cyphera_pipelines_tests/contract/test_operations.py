"""The contract of operations: declared means that it works, and undeclared is refused before anything is asked."""

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.operations.gate import check_supported
from cyphera_pipelines.providers.base import (
    AccountOperations,
    Change,
    ClientOptions,
    CredentialsRejectedError,
    CustomerRequest,
    Done,
    ListParameters,
    ObjectGoneError,
    ObjectKind,
    Operation,
    PreparedWrite,
    ProviderClient,
    Rejected,
    Unknown,
    UnsupportedError,
)
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxOptions
from cyphera_pipelines_tests.contract.doing import WAYS, Doing
from cyphera_pipelines_tests.contract.subject import Subject

ASKED_FOR = frozenset(Operation) - {Operation.SYNC, Operation.CHANGES, Operation.DELETIONS, Operation.WEBHOOKS}


@pytest.fixture
def account(subject: Subject) -> Iterator[AccountOperations]:
    operations = subject.provider.operate(subject.credentials, ClientOptions())
    if operations is None:
        pytest.skip("the provider declares no operations")
    yield operations
    operations.close()


@pytest.fixture
def doing(subject: Subject, account: AccountOperations) -> Doing:
    return Doing(subject, account)


def test_there_is_a_way_to_do_whatever_is_declared(subject: Subject) -> None:
    declared = {
        (kind, operation)
        for kind, operations in subject.provider.capabilities.operations.items()
        for operation in operations & ASKED_FOR
    }
    assert declared <= WAYS.keys()


@pytest.mark.parametrize(("kind", "operation"), WAYS, ids=lambda value: value.value)
def test_declared_means_that_it_works(subject: Subject, doing: Doing, kind: ObjectKind, operation: Operation) -> None:
    if subject.provider.capabilities.supports(kind, operation):
        WAYS[kind, operation](doing)
        return
    before = subject.requests()
    with pytest.raises(UnsupportedError) as caught:
        check_supported(subject.provider, kind, operation)
    assert (caught.value.kind, caught.value.operation) == (kind, operation)
    assert subject.requests() == before


def a_customer(account: AccountOperations, name: str = "Ada") -> PreparedWrite:
    assert account.customers is not None
    return account.customers.create_customer(CustomerRequest(name=name, email="ada@example.com"))


def test_preparing_asks_nobody(subject: Subject, account: AccountOperations) -> None:
    before = subject.requests()
    prepared = a_customer(account)
    assert subject.requests() == before
    assert PreparedWrite.from_json(prepared.as_json()) == prepared
    assert prepared.shown()["requests"][0]["path"] == prepared.path


def test_the_same_key_makes_one(subject: Subject, account: AccountOperations) -> None:
    before, key, prepared = subject.ids(Entity.CUSTOMERS), f"contract-{uuid4()}", a_customer(account)
    first, second = account.perform(prepared, key), account.perform(prepared, key)
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert first.object_id == second.object_id
    assert subject.ids(Entity.CUSTOMERS) - before == {first.object_id}


def test_another_request_under_the_same_key_is_refused(subject: Subject, account: AccountOperations) -> None:
    key = f"contract-{uuid4()}"
    assert isinstance(account.perform(a_customer(account), key), Done)
    before = subject.ids(Entity.CUSTOMERS)
    refused = account.perform(a_customer(account, "Grace"), key)
    assert isinstance(refused, Rejected)
    assert refused.message
    assert subject.ids(Entity.CUSTOMERS) == before


def test_what_was_done_is_what_a_sync_reads(
    subject: Subject, account: AccountOperations, client: ProviderClient
) -> None:
    outcome = account.perform(a_customer(account), f"contract-{uuid4()}")
    assert isinstance(outcome, Done)
    (change,) = [each for each in outcome.changes if each.entity is Entity.CUSTOMERS]
    assert change.object_id == outcome.object_id
    page = client.fetch(Change(Entity.CUSTOMERS, outcome.object_id, version=0.0))
    client.complete(page)
    (row,) = client.map_page(page).objects
    if change.snapshot is not None:
        told = subject.provider.map_told(
            subject.credentials, Entity.CUSTOMERS, [change.snapshot], version=change.version
        )
        assert told.objects[0].content_hash == row.content_hash


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.TRUNCATE, FaultKind.CUT_JSON, FaultKind.ERROR_502], ids=str)
def test_no_answer_is_unknown_and_reading_tells(subject: Subject, account: AccountOperations, kind: FaultKind) -> None:
    before, key, sent_at = subject.ids(Entity.CUSTOMERS), f"contract-{uuid4()}", time.time()
    prepared = a_customer(account)
    fault = Fault(kind=kind, path=subject.paths, times=1)
    subject.sandbox.state.set_options(SandboxOptions(faults=(fault,)))
    outcome = account.perform(prepared, key)
    assert isinstance(outcome, Unknown)
    assert outcome.reason
    made = subject.ids(Entity.CUSTOMERS) - before
    found = account.find(prepared, key, sent_at)
    assert {found.object_id} == made if found is not None else not made
    again = account.perform(prepared, key)
    assert isinstance(again, Done)
    assert subject.ids(Entity.CUSTOMERS) - before == {again.object_id}
    assert account.find(prepared, key, sent_at) is not None


def test_what_nobody_did_is_not_found(account: AccountOperations) -> None:
    assert account.find(a_customer(account), f"contract-{uuid4()}", time.time()) is None


def test_a_limit_is_waited_for(subject: Subject, account: AccountOperations) -> None:
    fault = Fault(kind=FaultKind.RATE_LIMIT, path=subject.paths, times=2, retry_after=0.0)
    subject.sandbox.state.set_options(SandboxOptions(faults=(fault,)))
    assert isinstance(account.perform(a_customer(account), f"contract-{uuid4()}"), Done)


def test_a_wrong_key_writes_nothing(subject: Subject) -> None:
    operations = subject.provider.operate(subject.wrong_credentials, ClientOptions())
    if operations is None:
        pytest.skip("the provider declares no operations")
    before = subject.ids(Entity.CUSTOMERS)
    with pytest.raises(CredentialsRejectedError):
        operations.perform(a_customer(operations), f"contract-{uuid4()}")
    operations.close()
    assert subject.ids(Entity.CUSTOMERS) == before


def test_what_is_not_there_is_gone(account: AccountOperations) -> None:
    assert account.customers is not None
    with pytest.raises(ObjectGoneError):
        account.customers.get_customer("nobody_has_this_id")


def test_lists_go_on_both_ways(subject: Subject, account: AccountOperations) -> None:
    assert account.customers is not None
    first = account.customers.list_customers(ListParameters(limit=5))
    assert first.next_cursor is not None
    second = account.customers.list_customers(ListParameters(limit=5, starting_after=first.next_cursor))
    ids = [each.id for each in (*first.items, *second.items)]
    assert len(set(ids)) == 10
    assert set(ids) <= subject.ids(Entity.CUSTOMERS)
    if second.previous_cursor is not None:
        back = account.customers.list_customers(ListParameters(limit=5, ending_before=second.previous_cursor))
        assert [each.id for each in back.items] == [each.id for each in first.items]


def test_lists_are_bounded_by_time(account: AccountOperations) -> None:
    assert account.customers is not None
    some = account.customers.list_customers(ListParameters(limit=20)).items
    middle = sorted(each.created for each in some if each.created is not None)[10]
    later = account.customers.list_customers(ListParameters(limit=100, created_after=middle)).items
    earlier = account.customers.list_customers(ListParameters(limit=100, created_before=middle)).items
    assert all(each.created is not None and each.created >= middle for each in later)
    assert all(each.created is not None and each.created < middle for each in earlier)
    assert {each.id for each in some} <= {each.id for each in (*later, *earlier)}


def test_lists_by_id_hold_just_those(subject: Subject, account: AccountOperations) -> None:
    assert account.customers is not None
    wanted = sorted(subject.ids(Entity.CUSTOMERS))[:3]
    found = account.customers.list_customers(ListParameters(ids=tuple(wanted)))
    assert sorted(each.id for each in found.items) == wanted


def test_a_filter_that_is_not_declared_is_refused(subject: Subject, account: AccountOperations) -> None:
    assert account.customers is not None
    before = subject.requests()
    with pytest.raises(InvalidInputError, match="shoe_size"):
        account.customers.list_customers(ListParameters(filters={"shoe_size": "42"}))
    assert subject.requests() == before
