"""A write is sent once, whatever happens on the way, and its row says what became of it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.writes import KeyReusedError, WriteState, WriteUnderWayError
from cyphera_pipelines.operations.asked import Asked, checked_key
from cyphera_pipelines.operations.carrying_out import WriteResult, carry_out, show
from cyphera_pipelines.operations.settling import settle_write
from cyphera_pipelines.providers.base import (
    MASK,
    CustomerRequest,
    ObjectKind,
    Operation,
    ProviderUnreachableError,
    UnsupportedError,
)
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.audit import list_audit_entries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.provider_writes import page_writes
from cyphera_pipelines_tests.operations.conftest import AddLedger
from cyphera_pipelines_tests.operations.ledger import LedgerProvider
from cyphera_pipelines_tests.operations.ledger_server import Ledger, Misbehaviour

ACME = Asked(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(email="a@example.com", name="Acme"))
CarryOut = Callable[..., WriteResult]


@pytest.fixture
def send(database: Database, keyring: Keyring, source: Source) -> CarryOut:
    def carry(asked: Asked = ACME, key: str = "first") -> WriteResult:
        return carry_out(database, keyring, source, asked, key)

    return carry


def test_a_write_is_done_and_told_again(send: CarryOut, ledger: Ledger, database: Database, source: Source) -> None:
    first, again = send(), send()
    assert (first.write.state, first.was_known) == (WriteState.DONE, False)
    assert (again.write, again.was_known) == (first.write, True)
    assert first.write.answer is not None
    assert (first.write.answer["email"], first.write.answer["name"]) == ("a@example.com", "Acme")
    assert first.write.object_id == first.write.answer["id"] in ledger.customers
    assert ledger.count("POST") == 1
    (entry,) = [each for each in list_audit_entries(database, source.workspace_id) if each.action == "object.written"]
    assert (entry.outcome, entry.subject_id) == ("done", first.write.object_id)
    assert entry.details["idempotency_key"] == "first"
    assert entry.details["operation"] == "create customers"


def test_a_key_is_for_one_request(send: CarryOut, ledger: Ledger) -> None:
    send()
    other = Asked(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(email="b@example.com"))
    with pytest.raises(KeyReusedError, match="another request already"):
        send(other)
    assert send(other, "second").write.state is WriteState.DONE
    assert ledger.count("POST") == 2


def test_while_it_is_on_its_way_nobody_else_sends_it(send: CarryOut, ledger: Ledger) -> None:
    ledger.stalls.clear()
    with ThreadPoolExecutor(1) as elsewhere:
        sent = elsewhere.submit(send)
        assert ledger.arrived.acquire(timeout=120)
        with pytest.raises(WriteUnderWayError) as refused:
            send()
        assert 1 <= refused.value.retry_after <= 5
        ledger.stalls.set()
        assert sent.result(120).write.state is WriteState.DONE
    assert send().was_known
    assert ledger.count("POST") == 1


def test_many_at_once_under_one_key_are_one(send: CarryOut, ledger: Ledger) -> None:
    together = threading.Barrier(6)

    def ask() -> object:
        together.wait(120)
        try:
            return send().write.state
        except WriteUnderWayError:
            return None

    with ThreadPoolExecutor(6) as threads:
        states = [future.result(120) for future in [threads.submit(ask) for _ in range(6)]]
    assert set(states) <= {WriteState.DONE, None}
    assert WriteState.DONE in states
    assert list(ledger.made.values()) == [1]


def test_a_refusal_is_told_again_without_asking(
    send: CarryOut, ledger: Ledger, database: Database, source: Source
) -> None:
    wrong = Asked(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(email="wrong"))
    first, again = send(wrong), send(wrong)
    assert first.write.state is again.write.state is WriteState.REJECTED
    assert first.write.problem is not None
    assert (first.write.problem["code"], first.write.problem["field"]) == ("email_invalid", "email")
    assert ledger.count("POST") == 1
    (entry,) = [each for each in list_audit_entries(database, source.workspace_id) if each.action == "object.written"]
    assert (entry.outcome, entry.details["code"]) == ("refused", "email_invalid")


def test_what_did_not_reach_the_provider_may_be_tried_under_the_same_key(
    database: Database, keyring: Keyring, add_ledger: AddLedger, ledger: Ledger
) -> None:
    source = add_ledger("http://127.0.0.1:9")
    for attempt in (1, 2):
        with pytest.raises(ProviderUnreachableError):
            carry_out(database, keyring, source, ACME, "first")
        (write,), _total = page_writes(database, source.workspace_id, limit=10, offset=0)
        assert (write.state, write.was_sent, write.attempts) == (WriteState.REJECTED, False, attempt)
        assert write.problem is not None
        assert write.problem["code"] == "not_sent"


@pytest.mark.parametrize("fault", ["cut_after", "fail_after", "cut_before"])
def test_what_nobody_answered_is_found_out(
    send: CarryOut, ledger: Ledger, database: Database, keyring: Keyring, fault: str
) -> None:
    ledger.misbehaves = Misbehaviour(**{fault: 1.0})
    lost = send().write
    assert (lost.state, lost.settled_at) == (WriteState.UNKNOWN, None)
    assert lost.problem is not None
    assert lost.problem["message"]
    ledger.misbehaves = Misbehaviour()
    settled = settle_write(database, keyring, lost)
    assert settled.state is WriteState.DONE
    assert settled.was_found is (fault != "cut_before"), "what is there is read, and not sent again"
    assert list(ledger.made.values()) == [1]
    assert settle_write(database, keyring, settled) == settled


def test_asking_again_finds_it_out_too(send: CarryOut, ledger: Ledger) -> None:
    ledger.misbehaves = Misbehaviour(cut_after=1.0)
    assert send().write.state is WriteState.UNKNOWN
    result = send()
    assert (result.write.state, result.was_known) == (WriteState.DONE, True)
    assert list(ledger.made.values()) == [1]


def test_once_the_provider_has_forgotten_the_key_nothing_is_sent_again(
    send: CarryOut, ledger: Ledger, database: Database, keyring: Keyring, provider: LedgerProvider
) -> None:
    provider.keys_kept_for = 0.0
    ledger.misbehaves = Misbehaviour(cut_before=1.0)
    lost = send().write
    ledger.misbehaves = Misbehaviour()
    assert settle_write(database, keyring, lost).state is WriteState.UNKNOWN, "it may still be on its way"
    with database.control() as connection:
        past = text("UPDATE sync.provider_writes SET looked_at = now() - interval '1 hour' WHERE id = :id")
        connection.execute(past, {"id": lost.id})
    settled = settle_write(database, keyring, lost)
    assert settled.state is WriteState.REJECTED
    assert settled.problem is not None
    assert settled.problem["code"] == "did_not_arrive"
    assert (ledger.count("POST"), ledger.made) == (1, {})


def test_what_is_not_declared_is_refused_before_any_request(
    send: CarryOut, ledger: Ledger, database: Database, source: Source
) -> None:
    with pytest.raises(UnsupportedError, match="ledger cannot cancel subscriptions"):
        send(Asked(ObjectKind.SUBSCRIPTIONS, Operation.CANCEL, "sub_1"))
    assert (ledger.requests, page_writes(database, source.workspace_id, limit=1, offset=0)) == ([], ([], 0))


def test_a_dry_run_sends_and_keeps_nothing(
    database: Database, keyring: Keyring, source: Source, ledger: Ledger
) -> None:
    secret = f"555-{uuid4().hex}"
    asked = Asked(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(name="Acme", phone=secret))
    shown = show(database, keyring, source, asked)
    (request,) = shown["requests"]
    assert (request["method"], request["path"]) == ("POST", "/customers")
    assert request["parameters"] == {"name": "Acme", "phone": MASK}
    assert (ledger.requests, page_writes(database, source.workspace_id, limit=1, offset=0)) == ([], ([], 0))


def test_nothing_that_is_secret_can_be_read_in_the_row(send: CarryOut, ledger: Ledger, database: Database) -> None:
    secret = f"555-{uuid4().hex}"
    asked = Asked(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(name="Acme", phone=secret))
    ledger.misbehaves = Misbehaviour(cut_before=1.0)
    lost = send(asked).write
    row = text("SELECT w::text FROM sync.provider_writes w WHERE id = :id")
    with database.control() as connection:
        kept = connection.execute(row, {"id": lost.id}).scalar_one()
    assert str(lost.id) in kept
    assert secret not in kept
    assert "Acme" not in kept


def test_a_key_can_be_read_and_typed() -> None:
    assert checked_key("order-7") == "order-7"
    assert checked_key(None) != checked_key(None)
    for wrong in ("", "x" * 256, "two\nlines", "ключ"):
        with pytest.raises(InvalidInputError, match="printable ASCII"):
            checked_key(wrong)
