"""`cyphera sandbox change`, and when the sandbox's data end."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import stripe

from cyphera_pipelines.cli.sandbox import accounts_of_home
from cyphera_pipelines.cli.sandbox_webhooks import NAMES
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer, WebhookOptions
from cyphera_pipelines_tests.cli.command import ForkedCyphera
from cyphera_pipelines_tests.receiver import receiving, wait_for

ACCOUNT = SandboxAccount(api_key="sk_test_changes", account_id="acct_changes", name="Acme Inc.", seed=3)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT, SandboxAccount(api_key="sk_test_other", account_id="acct_other", name="Other")]) as it:
        yield it


def port_of(sandbox: SandboxServer) -> str:
    return sandbox.url.rpartition(":")[2]


def test_a_change_is_told_and_arrives_with_the_next_sync_of_changes(
    sandbox: SandboxServer, forked: ForkedCyphera
) -> None:
    forked("workspace", "create", "changes").done()
    forked(
        "source", "add", "changes", "stripe", "--api-key-stdin", "--base-url", sandbox.url, stdin=ACCOUNT.api_key
    ).done()
    forked("sync", "changes", "stripe").done()

    options = ("--create", "customers=3", "--update", "products=2", "--update", "invoices=4", "--delete", "customers=1")
    told = forked("sandbox", "change", "changes", "--port", port_of(sandbox), *options).done()
    assert told.startswith("What happened in Acme Inc. (acct_changes), each with a provider event:")
    events = re.findall(r"^\w+ +(\w+)\.\w+ *$", told, re.MULTILINE)
    assert sorted(events) == ["customer"] * 4 + ["invoice"] * 4 + ["product"] * 2

    synced = forked("sync", "changes", "stripe", "--delta").done()
    assert re.search(r"^customers +3 +0 +\d+ +1 ", synced, re.MULTILINE), synced
    assert re.search(r"^products +0 +2 ", synced, re.MULTILINE)
    assert re.search(r"^invoices +0 +4 ", synced, re.MULTILINE)

    assert len(forked("sandbox", "change", "--port", port_of(sandbox)).done().splitlines()) > 15


def test_what_cannot_be_changed_is_said(sandbox: SandboxServer, forked: ForkedCyphera) -> None:
    def refused(*arguments: str) -> str:
        return forked("sandbox", "change", *arguments, "--port", port_of(sandbox)).error()

    assert refused("nobody") == "The sandbox has no account nobody: changes (acct_changes), other (acct_other)."
    assert refused("--create", "coupons=1").startswith("'coupons' is not one of customers, products, ")
    for odd in ("customers", "customers=", "customers=0", "customers=-1", "customers=x", "customers=1000000"):
        assert refused("--update", odd) == "How many customers? Write, say, customers=3; 100,000 at most."
    nobody = forked("sandbox", "change", "--port", "1").error()
    assert nobody.startswith("No sandbox answers at http://127.0.0.1:1. Start one with: cyphera sandbox")


def test_the_data_end_when_the_home_s_sandbox_first_ran(tmp_path: Path) -> None:
    home, before = tmp_path / "home", datetime.now(UTC)
    accounts = accounts_of_home(home)
    assert before - timedelta(minutes=1) <= datetime.fromtimestamp(accounts[0].newest_created, UTC) <= datetime.now(UTC)
    other = accounts_of_home(home, "2026-03-01")
    assert other[0].newest_created == datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    assert accounts_of_home(home) == other
    assert other[0].account_id != accounts[0].account_id
    with pytest.raises(InvalidInputError, match="is yet to come"):
        accounts_of_home(home, "2999-01-01")
    with pytest.raises(InvalidInputError, match="is no moment"):
        accounts_of_home(home, "yesterday")


def test_webhooks_of_what_happens_are_shown(sandbox: SandboxServer, forked: ForkedCyphera) -> None:
    port = ("--port", port_of(sandbox))
    assert forked("sandbox", "webhooks", *port).done().startswith("There is no webhook endpoint")
    client = stripe.StripeClient("sk_test_other", base_addresses={"api": sandbox.url})
    with receiving() as receiver:
        client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.updated"]})
        told = forked("sandbox", "change", "other", *port, "--update", "customers=3").done()
        assert f"Webhooks of 3 events to {receiver.url}: 3 arrived.\nWhat no webhook brought shows after: " in told
        event_id = receiver.ids[0]

        set_to = ("--webhooks", "lost=1", "--webhooks", "delay_seconds=2.5")
        shown = forked("sandbox", "webhooks", *port, *set_to).done()
        assert shown.endswith("Webhooks go with lost=1.0, delay_seconds=2.5.\n")
        told = forked("sandbox", "change", "other", *port, "--update", "customers=1", "--create", "prices=1").done()
        assert f"Webhooks of 1 event to {receiver.url}: 0 arrived, 1 lost.\nA workspace that is connected" in told

        resend = ("--resend", event_id, "--account", "other", "--webhooks", "lost=0", "--webhooks", "delay_seconds=1")
        shown = forked("sandbox", "webhooks", *port, *resend).done()
        assert shown.startswith(f"{event_id} is sent to 1 endpoint.\n")
        assert shown.endswith("Nothing is let go wrong.\n")
        wait_for(lambda: receiver.ids.count(event_id) == 2)


def test_how_webhooks_go_wrong_is_checked(forked: ForkedCyphera) -> None:
    assert tuple(WebhookOptions.model_fields) == NAMES

    def refused(option: str) -> str:
        return forked("sandbox", "webhooks", "--port", "1", "--webhooks", option).error()

    assert refused("late=1").startswith("'late=1' does not say how webhooks go: write, say, lost=0.1. Names: lost, ")
    assert refused("lost=2") == "lost=2: Input should be less than or equal to 1."
    assert refused("rate=fast").startswith("rate=fast: Input should be a valid number")
    assert refused("rate=none").startswith("No sandbox answers at http://127.0.0.1:1.")
