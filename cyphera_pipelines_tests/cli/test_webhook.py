"""`cyphera webhook`: an endpoint made at the provider, its secret stored and replaced, and the inbox operated."""

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.providers.stripe.changes import all_event_types
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.inbox import note_failed
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.webhooks import WebhookTarget
from cyphera_pipelines_tests.cli.command import Cyphera, ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource
from cyphera_pipelines_tests.webhooks import event_about, keep_webhook

BASE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def cli_keyring(cyphera: Cyphera, cli_database: Database) -> Keyring:
    assert cli_database
    return load_keyring(Settings(home=cyphera.home))


def secrets_of(database: Database, keyring: Keyring, slug: str) -> list[str]:
    source = find_source(database, f"{slug}:stripe")
    credentials = read_credentials(database, keyring, Binding(source.workspace_id, source.configuration_id, "stripe"))
    return [secret.get_secret_value() for secret in credentials.valid_webhook_secrets()]


def test_an_endpoint_is_made_once_and_replaced_when_asked(
    forked: ForkedCyphera,
    add_source: AddSource,
    sandbox: SandboxServer,
    cli_database: Database,
    cli_keyring: Keyring,
) -> None:
    account = SandboxAccount(api_key="sk_test_endpoints", account_id="acct_endpoints", customers=1)
    sandbox.state.put_account(account)
    slug = add_source(account.api_key)
    create = ("webhook", "create", slug, "stripe")
    assert "CYPHERA_PUBLIC_URL" in forked(*create).error()
    assert "has to be https" in forked(*create, "--url", "http://pay.example.com").error()

    made = forked(*create, "--url", BASE, "--json").json()
    configuration_id = find_source(cli_database, f"{slug}:stripe").configuration_id
    address = f"{BASE}/api/v1/sync/webhooks/stripe/{configuration_id}"
    assert made["url"] == address
    assert set(made["event_types"]) == set(all_event_types())
    (first,) = secrets_of(cli_database, cli_keyring, slug)
    assert first.startswith("whsec_")
    shown = forked("webhook", "show", slug, "stripe", "--json", CYPHERA_PUBLIC_URL=BASE)
    assert first not in shown.out
    facts = shown.json()
    assert (facts["secret"], facts["entered_address"], facts["address_to_enter"]) == (True, address, address)
    assert facts["former_secret_valid_until"] is None

    refused = forked(*create, "--url", BASE).error()
    assert made["id"] in refused
    assert "--replace" in refused
    assert secrets_of(cli_database, cli_keyring, slug) == [first]
    again = forked(*create, "--url", BASE, "--replace", "--json").json()
    assert (again["replaced"], again["left"]) == ([made["id"]], {})
    second, former = secrets_of(cli_database, cli_keyring, slug)
    assert (former, second != first) == (first, True)
    actions = [entry["action"] for entry in forked("audit", slug, "--json").json()]
    assert "webhook.endpoint_created" in actions


def test_a_key_that_may_not_make_endpoints_is_told_what_to_do(
    forked: ForkedCyphera, add_source: AddSource, sandbox: SandboxServer
) -> None:
    limited = {"rk_test_no_endpoints": frozenset({"webhook_write"})}
    sandbox.state.put_account(
        SandboxAccount(
            api_key="sk_test_limited", account_id="acct_limited_endpoints", customers=1, restricted_keys=limited
        )
    )
    slug = add_source("rk_test_no_endpoints")
    refused = forked("webhook", "create", slug, "stripe", "--url", BASE).error()
    assert "permission" in refused
    assert f"cyphera webhook show {slug} stripe" in refused
    assert "No signing secret yet" in forked("webhook", "show", slug, "stripe").done()


def test_a_secret_is_entered_replaced_and_ended(
    forked: ForkedCyphera, add_source: AddSource, cli_database: Database, cli_keyring: Keyring
) -> None:
    slug = add_source()
    assert "secret set" in forked("webhook", "secret", "rotate", slug, "stripe", stdin="whsec_new_one\n").error()
    assert "empty" in forked("webhook", "secret", "set", slug, "stripe", stdin="\n").error()
    stored = forked("webhook", "secret", "set", slug, "stripe", stdin="whsec_first_entered\n").done()
    assert "whsec" not in stored
    rotated = forked("webhook", "secret", "rotate", slug, "stripe", stdin="whsec_second_entered\n").done()
    assert "for a day" in rotated
    assert secrets_of(cli_database, cli_keyring, slug) == ["whsec_second_entered", "whsec_first_entered"]
    forked("webhook", "secret", "end-former", slug, "stripe").done()
    assert secrets_of(cli_database, cli_keyring, slug) == ["whsec_second_entered"]
    actions = [entry["action"] for entry in forked("audit", slug, "--json").json()]
    assert "webhook.secret_ended" in actions


def test_the_inbox_is_operated(forked: ForkedCyphera, add_source: AddSource, cli_database: Database) -> None:
    slug = add_source()
    assert "No such webhooks" in forked("webhook", "list", slug).done()
    source = find_source(cli_database, f"{slug}:stripe")
    target = WebhookTarget(source.workspace_id, source.configuration_id, "stripe", source.is_test_mode)
    event = event_about({"id": "cus_1", "object": "customer"}, "customer.updated", event_id="evt_operated")
    kept = {"external_id": event["id"], "kind": event["type"], "entity": Entity.CUSTOMERS, "payload": event}
    keep_webhook(cli_database, target, **kept)
    why = ("Not permitted.", ErrorCode.PERMISSION_MISSING)
    note_failed(cli_database, source, [Entity.CUSTOMERS], *why, livemode=False, most=1)
    assert [each["state"] for each in forked("webhook", "list", slug, "--json").json()["webhooks"]] == ["dead"]
    listed = forked("webhook", "list", slug, "--state", "dead").done()
    assert "evt_operated" in listed
    assert "Not permitted. [permission-missing]" in listed
    shown = forked("webhook", "show", slug, "stripe", "--json").json()
    assert (shown["given_up"], shown["last_failure"], shown["last_applied"]) == (1, "Not permitted.", None)
    inspected = forked("webhook", "inspect", slug, "evt_operated").done()
    assert "given up" in inspected
    assert "Not permitted. [permission-missing]" in inspected
    assert '"customer.updated"' in inspected
    assert "no such webhook" in forked("webhook", "inspect", slug, "evt_other").error()
    assert "Say which" in forked("webhook", "replay", slug).error()
    assert "tried again" in forked("webhook", "replay", slug, "evt_operated").done()
    assert "No webhooks" in forked("webhook", "replay", slug, "--all").done()


def test_an_operator_ties_an_account_to_a_workspace(
    forked: ForkedCyphera, sandbox: SandboxServer, account: SandboxAccount
) -> None:
    slug, platform = "cli-platform", {"STRIPE_API_KEY": "sk_test_platform_of_cli"}
    sandbox.state.put_account(SandboxAccount(api_key="sk_test_platform_of_cli", account_id="acct_cli_platform"))
    tenant = SandboxAccount(api_key="sk_test_cli_tenant", account_id="acct_cli_tenant", platform="acct_cli_platform")
    sandbox.state.put_account(tenant)
    forked("workspace", "create", slug).done()
    tie = ("workspace", "allow-account", slug, "stripe", "acct_cli_tenant")
    assert "No API key of the platform" in forked(*tie, STRIPE_API_KEY="").error()
    assert "test mode" in forked(*tie, **platform).done()
    (tied,) = forked("workspace", "allowed-accounts", "--json", **platform).json()
    assert (tied["workspace"], tied["account_id"], tied["livemode"]) == (slug, "acct_cli_tenant", False)
    forked("workspace", "disallow-account", slug, "stripe", "acct_cli_tenant", **platform).done()
    add = ("source", "add", slug, "stripe", "--platform-key", "--connected-account", "acct_cli_tenant")
    added = forked(*add, "--base-url", sandbox.url, **platform)
    assert "Added source" in added.done()
    assert "acct_cli_tenant" in forked("source", "test", slug, "stripe", **platform).done()
    assert "platform's" in forked("source", "show", slug, "stripe", **platform).done()
    refused = forked("webhook", "create", slug, "stripe", "--url", BASE, **platform).error()
    assert "one endpoint for all" in refused
    assert "was given to a workspace" in forked("webhook", "unrouted", **platform).done()
