"""`cyphera sandbox` and what goes with it, for a Chargebee site."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyphera_pipelines.cli.sandbox import sites_of_home
from cyphera_pipelines.sandbox import ChargebeeSite, SandboxAccount, SandboxServer
from cyphera_pipelines_tests.cli.command import ForkedCyphera
from cyphera_pipelines_tests.receiver import receiving, wait_for

SITE = ChargebeeSite(site="changes-test", api_key="test_cyphera_changes", name="Initech LLC", seed=3)
ACCOUNT = SandboxAccount(api_key="sk_test_acme", account_id="acct_acme", name="Acme Inc.")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT, SITE]) as it:
        yield it


def test_a_site_is_found_by_what_its_key_ends_in_and_changes(sandbox: SandboxServer, forked: ForkedCyphera) -> None:
    port = ("--port", sandbox.url.rpartition(":")[2])
    told = forked("sandbox", "change", "changes", *port, "--create", "customers=2", "--update", "prices=1").done()
    assert told.startswith("What happened in Initech LLC (changes-test), each with a provider event:")
    assert re.findall(r"^\S.* +(\w+_(?:created|updated)) *$", told, re.MULTILINE) == [
        "customer_created",
        "customer_created",
        "item_price_updated",
    ]
    assert told.endswith("shows it after: cyphera sync WORKSPACE chargebee --delta\n")
    assert forked("sandbox", "change", "changes-test", *port).done().startswith("What happened in Initech LLC")
    refused = forked("sandbox", "change", "nobody", *port).error()
    assert refused == "The sandbox has no account nobody: acme (acct_acme), changes (changes-test)."


def test_a_site_s_events_are_sent_where_somebody_says(sandbox: SandboxServer, forked: ForkedCyphera) -> None:
    port = ("--port", sandbox.url.rpartition(":")[2])
    with receiving() as receiver:
        to = ("--to", receiver.url, "--secret-env", "HOOK_SECRET")
        command = ("sandbox", "webhooks", "--account", "changes", *to, *port)
        assert "does not hold `user:password`" in forked(*command).error()
        forked(*command, HOOK_SECRET="cyphera:hush").done()
        forked("sandbox", "change", "changes", *port, "--update", "customers=1").done()
        wait_for(lambda: len(receiver.received) == 1)
        assert receiver.received[0].authorization.startswith("Basic ")
        shown = forked("sandbox", "webhooks", *port)
        assert re.search(rf"{receiver.url} +changes-test +enabled +1 +1 +1 ", shown.done())
        assert "hush" not in shown.out + shown.err
    refused = forked("sandbox", "webhooks", "--account", "acme", "--to", "http://127.0.0.1:9", *port).error()
    assert refused.startswith("acme is a Stripe account: make its endpoint through its API")


def test_the_sites_of_a_home_keep_their_names(tmp_path: Path) -> None:
    first = sites_of_home(tmp_path / "home")
    later = sites_of_home(tmp_path / "home", "2026-03-01")
    assert [site.site for site in first] == [site.site for site in later] == ["initech-test", "three-test"]
    assert later[0].newest_created < first[0].newest_created
