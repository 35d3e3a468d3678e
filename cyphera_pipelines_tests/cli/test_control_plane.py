"""Workspaces and sources, made and looked at through the command line."""

import base64
from uuid import UUID

import pytest
from sqlalchemy import text

from cyphera_pipelines.cli.output import short_id
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.cli.command import Cyphera, ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource


def test_a_workspace_is_made_and_listed(cyphera: Cyphera, forked: ForkedCyphera) -> None:
    made = cyphera("workspace", "create", "acme-eu", "--name", "Acme Europe", "--json").json()
    assert (made["slug"], made["name"]) == ("acme-eu", "Acme Europe")
    assert UUID(made["id"])
    assert made in cyphera("workspace", "list", "--json").json()
    printed = forked("workspace", "create", "acme-us").done()
    assert "Created workspace acme-us (" in printed
    assert "Next: cyphera source add acme-us stripe --api-key-stdin" in printed
    listed = forked("workspace", "list").done()
    assert f"acme-eu  Acme Europe  {short_id(UUID(made['id']))}" in listed
    assert "acme-us" in listed


def test_a_source_is_added_tested_listed_and_removed(
    cyphera: Cyphera, forked: ForkedCyphera, sandbox: SandboxServer, account: SandboxAccount, cli_database: Database
) -> None:
    forked("workspace", "create", "initech").done()
    add = ("source", "add", "initech", "stripe", "--api-key-stdin", "--base-url", f"{sandbox.url}/")
    added = cyphera(
        *add, "--webhook-secret-env", "HOOK", "--no-raw", "--json", stdin=account.api_key, HOOK="whsec_commandline"
    ).json()
    assert (added["provider_name"], added["is_active"], added["is_test_mode"]) == ("stripe", True, True)
    assert added["metadata"] == {"store_raw": False}
    assert not {"configuration", "api_key", "credentials"} & added.keys()

    tested = cyphera("source", "test", "initech", "stripe").done()
    assert "Connected to acct_commandline (Command line Ltd.)." in tested
    assert tested.count(" readable") == 5

    (listed,) = [each for each in cyphera("source", "list", "--json").json() if each["workspace"] == "initech"]
    assert (listed["key"], listed["is_test_mode"], listed["last_sync_at"]) == ("initech:stripe", True, None)
    assert "initech:stripe  test  never" in forked("source", "list").done()

    assert "Removed source initech:stripe. Its rows stay." in cyphera("source", "remove", "initech", "stripe").done()
    assert "initech" not in forked("source", "list").done()
    again = forked(*add, stdin="sk_live_another_key_for_it").done()
    assert "Added source initech:stripe (live mode)." in again
    with cli_database.control() as connection:
        stored = connection.execute(
            text("SELECT is_active, configuration FROM sync.workspace_payment_configurations WHERE workspace_id = :id"),
            {"id": added["workspace_id"]},
        ).all()
    assert sorted(row.is_active for row in stored) == [False, True]
    assert all(row.configuration.startswith("v1.") for row in stored)


def test_testing_a_restricted_key_names_what_it_may_not_read(forked: ForkedCyphera, add_source: AddSource) -> None:
    slug = add_source("rk_test_commandline")
    outcome = forked("source", "test", slug, "stripe", "--json")
    assert outcome.code == 2
    report = outcome.json()
    assert report["readable"] == ["customers", "products", "prices", "subscriptions"]
    assert "rak_invoice_read" in report["unreadable"]["invoices"]
    plain = forked("source", "test", slug, "stripe")
    assert plain.code == 2
    assert "rak_invoice_read" in plain.out


@pytest.mark.parametrize(
    ("key", "base_url", "says"),
    [
        ("sk_test_revoked_years_ago", "", "Stripe rejects the API key"),
        ("sk_test_commandline", "http://127.0.0.1:9", "127.0.0.1:9 refuses connections"),
    ],
)
def test_testing_what_does_not_work_says_why(
    key: str, base_url: str, says: str, forked: ForkedCyphera, add_source: AddSource, sandbox: SandboxServer
) -> None:
    slug = add_source(key, base_url=base_url or sandbox.url)
    line = forked("source", "test", slug, "stripe").error()
    assert says in line
    assert key not in line


def test_before_everything_is_put_under_a_new_key_what_runs_has_to_know_it(
    cyphera: Cyphera, forked: ForkedCyphera, add_source: AddSource
) -> None:
    add_source()
    file = cyphera.home / "encryption.key"
    before = file.read_text()
    file.write_text(f"{base64.b64encode(bytes(range(32))).decode()}\n{before}")
    try:
        shown = forked("keys", "show").done()
    finally:
        file.write_text(before)
    assert (
        "is still needed. Restart whatever runs (cyphera up, cyphera api), so that it knows the newest key; then put "
        "everything under it: cyphera keys rotate"
    ) in shown
