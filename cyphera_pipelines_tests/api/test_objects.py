"""Objects at a provider through the API: the ledger, a small provider over real HTTP, stands behind it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.audit import list_audit_entries
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.api.conftest import ACCOUNT, Client, MakeClient, RunningApi, fields, problem
from cyphera_pipelines_tests.operations.ledger import NAME, ledger_provider
from cyphera_pipelines_tests.operations.ledger_server import Ledger, Misbehaviour, serving_ledger

ACME = {"email": "a@example.com", "name": "Acme"}


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with serving_ledger() as served, ledger_provider():
        yield served


class Writer:
    """A client of a workspace that has a source at the ledger."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def ask(self, method: str, path: str, key: str | None = None, **request: Any) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        url = self.client.base_url.copy_with(path=f"/api/v1/{NAME}{path}")
        return self.client.request(method, url, headers=headers, **request)

    def create(self, key: str | None = None, said: dict[str, Any] = ACME, **request: Any) -> httpx.Response:
        return self.ask("POST", "/customers", key, json=said, **request)


@pytest.fixture
def writer(make_client: MakeClient, database: Database, keyring: Keyring, ledger: Ledger) -> Writer:
    client = make_client(level=KeyLevel.WRITE)
    credentials = Credentials(api_key=SecretStr("sk_test_ledger_key"), base_url=ledger.url)
    create_configuration(database, keyring, client.workspace, NAME, credentials, is_test_mode=True)
    return Writer(client)


def test_a_customer_s_life(writer: Writer, ledger: Ledger) -> None:
    made = writer.create()
    assert made.status_code == 201, made.text
    customer = made.json()
    assert (customer["email"], customer["name"], customer["tax_ids"]) == ("a@example.com", "Acme", [])
    path = f"/customers/{customer['id']}"
    assert writer.ask("GET", path).json() == customer
    changed = writer.ask("PATCH", path, json={"name": "Acme Inc."})
    assert (changed.status_code, changed.json()["name"]) == (200, "Acme Inc.")
    listed = writer.ask("GET", "/customers", params={"filter": "email:a@example.com"}).json()
    assert ([each["id"] for each in listed["items"]], listed["next_cursor"]) == ([customer["id"]], None)
    gone = writer.ask("DELETE", path)
    assert (gone.status_code, gone.json()) == (200, {"id": customer["id"], "deleted": True})
    assert problem(writer.ask("GET", path), 404)["type"] == "urn:cyphera:problem:object-gone"
    assert problem(writer.ask("PATCH", path, json={"name": "x"}), 404)["code"] == "resource_missing"


def test_a_repeated_request_is_told_again(writer: Writer, ledger: Ledger) -> None:
    first, again = writer.create("order-7"), writer.create("order-7")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"] == "order-7"
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert list(ledger.made.values()) == [1]
    other = problem(writer.create("order-7", {"name": "Other"}), 422)
    assert other["type"] == "urn:cyphera:problem:idempotency-key-reused"
    assert other["write_id"] == first.headers["X-Write-ID"]


def test_a_key_is_made_where_none_is_given(writer: Writer, ledger: Ledger) -> None:
    keys = {writer.create().headers["Idempotency-Key"] for _ in range(2)}
    assert len(keys) == 2
    assert list(ledger.made.values()) == [1, 1]


def test_one_that_is_on_its_way_is_a_conflict(writer: Writer, ledger: Ledger) -> None:
    ledger.stalls.clear()
    with ThreadPoolExecutor(1) as elsewhere:
        sent = elsewhere.submit(writer.create, "order-7")
        assert ledger.arrived.acquire(timeout=120)
        refused = writer.create("order-7")
        assert problem(refused, 409)["type"] == "urn:cyphera:problem:write-under-way"
        assert int(refused.headers["Retry-After"]) >= 1
        ledger.stalls.set()
        assert sent.result(60).status_code == 201


def test_what_nobody_knows_is_202_and_found_out(writer: Writer, ledger: Ledger) -> None:
    ledger.misbehaves = Misbehaviour(cut_after=1.0)
    lost = writer.create("order-7")
    assert lost.status_code == 202
    write = lost.json()
    assert (write["state"], write["idempotency_key"], write["answer"]) == ("unknown", "order-7", None)
    ledger.misbehaves = Misbehaviour()
    url = writer.client.base_url.copy_with(path=lost.headers["Location"])
    settled = writer.client.get(url).json()
    assert (settled["state"], settled["was_found"], settled["answer"]["name"]) == ("done", True, "Acme")
    assert list(ledger.made.values()) == [1]
    page = writer.ask("GET", "/writes", params={"state": "done"}).json()
    assert ([each["id"] for each in page["writes"]], page["total"]) == ([write["id"]], 1)


def test_a_key_that_only_reads_is_shown_a_write_and_settles_none(
    writer: Writer, ledger: Ledger, make_client: MakeClient
) -> None:
    ledger.misbehaves = Misbehaviour(cut_after=1.0)
    lost = writer.create()
    ledger.misbehaves = Misbehaviour()
    reader = Writer(make_client(writer.client.workspace, level=KeyLevel.READ))
    path = lost.headers["Location"].removeprefix(f"/api/v1/{NAME}")
    asked = len(ledger.requests)
    assert reader.ask("GET", path).json()["state"] == "unknown"
    assert len(ledger.requests) == asked


def test_what_a_provider_rejects_says_why(writer: Writer, ledger: Ledger, database: Database) -> None:
    wrong = problem(writer.create(said={"email": "wrong"}), 422)
    assert (wrong["type"], wrong["code"]) == ("urn:cyphera:problem:write-rejected", "email_invalid")
    assert [(each["field"], each["message"]) for each in wrong["errors"]] == [("email", "This is no address.")]
    declined = problem(writer.create("pay", {"email": "declined@example.com"}), 402)
    assert (declined["type"], declined["code"]) == ("urn:cyphera:problem:payment-declined", "card_declined")
    assert problem(writer.create("pay", {"email": "declined@example.com"}), 402)["write_id"] == declined["write_id"]
    assert ledger.count("POST") == 2
    told = [entry.outcome for entry in list_audit_entries(database, writer.client.workspace.id)]
    assert told.count("refused") == 2


def test_what_is_not_declared_is_refused_before_any_request(writer: Writer, ledger: Ledger) -> None:
    for method, path in (
        ("GET", "/prices"),
        ("GET", "/payments/pi_1"),
        ("POST", "/invoices/in_1/pay"),
        ("POST", "/subscriptions/sub_1/cancel"),
    ):
        assert problem(writer.ask(method, path), 422)["type"] == "urn:cyphera:problem:unsupported"
    undeclared = problem(writer.ask("GET", "/customers", params={"filter": "colour:red"}), 422)
    assert "email" in undeclared["error"]
    assert ledger.requests == []


def test_a_dry_run_shows_and_sends_nothing(writer: Writer, ledger: Ledger) -> None:
    secret = f"555-{uuid4().hex}"
    shown = writer.create(said={"name": "Acme", "phone": secret}, params={"dry_run": "true"})
    assert shown.status_code == 200
    assert [(each["method"], each["path"]) for each in shown.json()["requests"]] == [("POST", "/customers")]
    assert secret not in shown.text
    assert ledger.requests == []
    assert writer.ask("GET", "/writes").json()["total"] == 0


@pytest.mark.parametrize("query", ["dryrun=true", "DRY_RUN=true", "dry_run=true&dry_run=false", "dry-run=1&x=2"])
def test_a_write_with_a_parameter_that_is_not_known_or_repeated_writes_nothing(
    query: str, writer: Writer, ledger: Ledger
) -> None:
    answer = writer.create(params=query)
    names = dict.fromkeys(each.partition("=")[0] for each in query.split("&"))
    assert fields(answer) == list(names)
    assert {each["location"] for each in answer.json()["errors"]} == {"query"}
    if "dry_run" not in names:
        assert "there is dry_run." in answer.json()["errors"][0]["remedy"]
    assert ledger.requests == []
    assert writer.ask("GET", "/writes").json()["total"] == 0


def test_a_text_that_is_too_long_is_told_in_characters(writer: Writer, ledger: Ledger) -> None:
    (refused,) = problem(writer.create(said={"name": "x" * 100_000}), 422)["errors"]
    assert (refused["field"], refused["message"]) == ("name", "It should have at most 255 characters.")
    assert ledger.requests == []


@pytest.mark.parametrize(
    ("level", "customer", "account"),
    [
        (KeyLevel.READ, 403, 403),
        (KeyLevel.SYNC, 403, 403),
        (KeyLevel.WRITE, 201, 403),
        (KeyLevel.ADMIN, 201, 422),
    ],
)
def test_each_level_writes_what_it_may(
    writer: Writer, make_client: MakeClient, level: KeyLevel, customer: int, account: int
) -> None:
    of_level = Writer(make_client(writer.client.workspace, level=level))
    assert of_level.create().status_code == customer
    said = {"type": "payout_bank_account", "token": "btok_1"}
    assert of_level.ask("POST", "/external-accounts", json=said).status_code == account
    assert of_level.ask("GET", "/customers").status_code == 200


def test_an_unreachable_provider_is_unavailable_and_the_same_key_may_try_again(
    make_client: MakeClient, database: Database, keyring: Keyring, ledger: Ledger
) -> None:
    client = make_client(level=KeyLevel.WRITE)
    credentials = Credentials(api_key=SecretStr("sk_test_ledger_key"), base_url="http://127.0.0.1:9")
    create_configuration(database, keyring, client.workspace, NAME, credentials, is_test_mode=True)
    writer = Writer(client)
    for _ in range(2):
        refused = writer.create("order-7")
        assert problem(refused, 503)["type"] == "urn:cyphera:problem:unavailable"
        assert refused.headers["Retry-After"]
    (write,) = writer.ask("GET", "/writes").json()["writes"]
    assert (write["state"], write["was_sent"], write["attempts"]) == ("rejected", False, 2)


@pytest.mark.parametrize("key", ["", "x" * 256, "with\ttab"])
def test_keys_that_nobody_could_repeat_are_refused(writer: Writer, ledger: Ledger, key: str) -> None:
    assert problem(writer.create(key), 422)["errors"][0]["location"] == "header"
    assert ledger.requests == []


@pytest.mark.parametrize("object_id", ["%2e", "%2e%2e", "a%20b", "x" * 256])
def test_ids_that_are_none_are_refused(writer: Writer, ledger: Ledger, object_id: str) -> None:
    assert writer.ask("GET", f"/customers/{object_id}").status_code in (404, 422)
    assert ledger.requests == []


def test_another_workspace_sees_nothing_of_it(writer: Writer, make_client: MakeClient, ledger: Ledger) -> None:
    made = writer.create("order-7")
    other = Writer(make_client(level=KeyLevel.ADMIN))
    assert problem(other.create("order-7"), 404)["type"] == "urn:cyphera:problem:not-found"
    assert problem(other.ask("GET", f"/writes/{made.headers['X-Write-ID']}"), 404)["type"].endswith("not-found")
    assert other.ask("GET", "/writes").json()["total"] == 0
    assert list(ledger.made.values()) == [1]


def test_the_number_of_a_bank_account_is_nowhere_to_be_seen(
    api: RunningApi, make_client: MakeClient, database: Database, keyring: Keyring, sandbox: SandboxServer
) -> None:
    client = make_client(level=KeyLevel.ADMIN)
    credentials = Credentials(api_key=SecretStr(ACCOUNT.api_key), base_url=sandbox.url)
    create_configuration(database, keyring, client.workspace, "stripe", credentials, is_test_mode=True)
    number, begins_at = "000123456789", len(api.lines)
    said = {
        "type": "payout_bank_account",
        "country": "US",
        "currency": "usd",
        "account_number": number,
        "owner_id": ACCOUNT.account_id,
    }
    url = client.base_url.copy_with(path="/api/v1/stripe/external-accounts")
    answers = [
        client.post(url, json={**said, "routing_number": "110000000"}, params=params)
        for params in ({"dry_run": "true"}, {}, {})
    ]
    answers.append(client.get(client.base_url.copy_with(path="/api/v1/stripe/writes")))
    assert answers[0].json()["requests"]
    assert answers[-1].json()["total"] == 2
    told = [answer.text + repr(answer.headers) for answer in answers]
    told += [repr(entry) for entry in list_audit_entries(database, client.workspace.id)]
    told += api.lines[begins_at:]
    with database.control() as connection:
        rows = text("SELECT w::text FROM sync.provider_writes w WHERE workspace_id = :id")
        told += connection.execute(rows, {"id": client.workspace.id}).scalars()
    assert len(told) > 8
    assert not [each for each in told if number in each]
