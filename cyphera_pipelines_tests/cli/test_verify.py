"""`cyphera verify`: exit codes, what it shows, what it mends, and what a program can read."""

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, tables_of
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.cli.command import Cyphera, ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource
from cyphera_pipelines_tests.truth import ENTITIES, assert_tables_equal_truth, live_rows


@pytest.fixture(scope="module")
def slug(cyphera: Cyphera, forked: ForkedCyphera, sandbox: SandboxServer, account: SandboxAccount) -> str:
    """A source whose tables were empty, and were mended; Stripe's own limits would let that take a quarter minute."""
    made = "verified"
    forked("workspace", "create", made).done()
    add_key = ("source", "add", made, "stripe", "--api-key-stdin", "--base-url", sandbox.url, "--rate", "1000")
    forked(*add_key, stdin=account.api_key + "\n").done()
    shown = cyphera("verify", made, "stripe", "--repair")
    table = [line.split() for line in shown.done().splitlines()]
    for entity in ENTITIES:
        size = str(account.size_of(entity))
        assert [entity, size, size, "0", "0", "0", size, "mended"] in table
    assert "and was mended" in shown.out
    lines = shown.err.splitlines()
    assert lines[0] == f"{made}:stripe: starting"
    # Each was listed, and fetched once more by its id.
    done = ", ".join(f"{entity} {2 * account.size_of(entity)} done" for entity in ENTITIES)
    assert lines[-1] == f"{made}:stripe: {done}"
    return made


def test_a_repair_fills_empty_tables_and_is_a_session(
    slug: str, forked: ForkedCyphera, cli_database: Database, sandbox: SandboxServer, account: SandboxAccount
) -> None:
    source = find_source(cli_database, f"{slug}:stripe")
    assert_tables_equal_truth(cli_database, source, sandbox.state, account.account_id)
    (session,) = forked("sessions", slug, "--json").json()
    assert (session["session_type"], session["status"]) == ("partial_sync", "completed")
    events = forked("events", session["id"], "--json").json()
    assert [events[0]["event_type"], events[-1]["event_type"]] == ["session_started", "session_completed"]
    assert "rows_mended" in {event["event_type"] for event in events}
    assert "Mended 50 missing customers, of 50 objects." in forked("events", session["id"]).done()


def test_tables_that_agree_exit_0(slug: str, forked: ForkedCyphera, account: SandboxAccount) -> None:
    shown = forked("verify", slug, "stripe").done()
    assert [line.split()[-1] for line in shown.splitlines()[1:-1]] == ["agrees"] * len(SYNCED_TABLES)
    assert shown.splitlines()[-1].startswith(f"{slug}:stripe agrees with the provider: ")
    report = forked("verify", slug, "stripe", "--entities", "products, invoices", "--json").json()
    assert (report["source"], report["complete"], report["agrees"]) == (f"{slug}:stripe", True, True)
    told = {
        "source",
        "began_at",
        "seconds",
        "complete",
        "agrees",
        "error_code",
        "session_id",
        "entities",
        "still_missing",
    }
    assert (report["session_id"], report["error_code"], set(report)) == (None, None, told)
    products, invoices = report["entities"]
    nothing = {"count": 0, "sample_ids": []}
    assert products == {
        "entity": "products",
        "agrees": True,
        "tables": [
            {
                "table": "products",
                "checked": account.products,
                "missing": nothing,
                "surplus": nothing,
                "stale": nothing,
                "mended": 0,
            }
        ],
        "unmappable": nothing,
        "changed_meanwhile": 0,
        "unconfirmed": 0,
        "note": None,
        "error": None,
        "error_code": None,
    }
    assert [table["table"] for table in invoices["tables"]] == [table.name for table in tables_of([Entity.INVOICES])]


def test_what_differs_exits_2_and_is_named(
    slug: str, forked: ForkedCyphera, sandbox: SandboxServer, account: SandboxAccount
) -> None:
    customers = [customer["id"] for customer in sandbox.state.truth(account.account_id, "customers")][:7]
    before = {customer: sandbox.state.object(account.account_id, customer)["name"] for customer in customers}
    for customer in customers:
        sandbox.state.patch(account.account_id, customer, {"name": "Somebody else"}, with_event=False)
    outcome = forked("verify", slug, "stripe", "--entities", "customers")
    assert outcome.code == 2
    size = str(account.customers)
    assert ["customers", size, "0", "0", "7", "0", "0", "differs"] in [
        line.split() for line in outcome.out.splitlines()
    ]
    (examples,) = [line for line in outcome.out.splitlines() if line.startswith("customers stale: ")]
    assert examples == f"customers stale: {', '.join(sorted(customers)[:5])} and 2 more"
    assert f"cyphera verify {slug} stripe --repair" in outcome.out
    for customer, name in before.items():
        sandbox.state.patch(account.account_id, customer, {"name": name}, with_event=False)
    assert forked("verify", slug, "stripe", "--entities", "customers").code == 0


def test_an_entity_that_cannot_be_verified_exits_1(
    forked: ForkedCyphera, add_source: AddSource, cli_database: Database, account: SandboxAccount
) -> None:
    made = add_source("rk_test_commandline")
    outcome = forked("verify", made, "stripe", "--entities", "products,invoices")
    assert outcome.code == 1
    table = [line.split() for line in outcome.out.splitlines()]
    size = str(account.products)
    assert ["products", size, size, "0", "0", "0", "0", "differs"] in table
    assert ["invoices", "-", "-", "-", "-", "-", "-", "not", "verified"] in table
    assert "invoices could not be verified: " in outcome.err
    assert "rak_invoice_read" in outcome.err
    assert live_rows(cli_database, find_source(cli_database, f"{made}:stripe"), "products") == {}


def test_a_rejected_key_and_a_mistake_are_one_line(
    slug: str, forked: ForkedCyphera, add_source: AddSource, account: SandboxAccount
) -> None:
    outcome = forked("verify", add_source("sk_test_revoked_years_ago"), "stripe")
    assert outcome.code == 1
    assert "Error: Stripe rejects the API key" in outcome.err.splitlines()[-1]
    assert "Unknown entity 'customer'" in forked("verify", slug, "stripe", "--entities", "customer").error()
    assert "There is no active source" in forked("verify", "nobody-here", "stripe").error()


def test_the_help_says_what_it_cannot_see(forked: ForkedCyphera) -> None:
    text = " ".join(forked("verify", "--help", COLUMNS="200").done().split())
    for word in ("Missing", "Surplus", "Stale", "Unmappable", "content_hash", "Exit code 0", "--repair"):
        assert word in text
