"""One address for all accounts of a platform: an event goes to whose account it is, and to nobody else."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from cyphera_pipelines.api.app import create_app
from cyphera_pipelines.connection_budget import API_PROCESS
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.accounts import AccountClaim, record_account, register_account
from cyphera_pipelines.store.configurations import (
    create_configuration,
    find_active_configuration,
    remove_configuration,
)
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.platform_accounts import (
    AccountNotAllowedError,
    allow_account,
    disallow_account,
)
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.unrouted_webhooks import list_unrouted
from cyphera_pipelines.store.webhook_routing import find_route
from cyphera_pipelines.sync.connection import check_connection
from cyphera_pipelines_tests.api.conftest import PREFIX, Client, MakeClient, RunningApi, problem, serving
from cyphera_pipelines_tests.conftest import new_workspace
from cyphera_pipelines_tests.webhooks import event_about, signed

OLD, NEW = "whsec_of_the_platform_before", "whsec_of_the_platform_now"
PLATFORM_KEY = "sk_test_the_platform_itself"
CUSTOMER = {"id": "cus_1", "object": "customer", "created": 1_700_000_000, "livemode": False}


@pytest.fixture(scope="module")
def platform(database: Database, keyring: Keyring) -> Iterator[RunningApi]:
    """An API whose operator deploys a platform's key, and two secrets while one takes the other's place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRIPE_WEBHOOK_SECRET", f"{NEW}, {OLD}")
        patch.setenv("STRIPE_API_KEY", PLATFORM_KEY)
        settings = load_settings()
        own = open_database(settings, application_name="cyphera api", pool_size=API_PROCESS)
        with serving(create_app(own, keyring, settings, None)) as running:
            yield running
        own.close()


def send(api: RunningApi, account: str | None, *, event_id: str = "evt_1", secret: str = NEW, **more: Any) -> Any:
    named = {} if account is None else {"account": account}
    event = event_about(CUSTOMER, "customer.updated", event_id=event_id) | named | more
    body, headers = signed(event, secret=secret)
    return api.ask("POST", f"{PREFIX}/webhooks/stripe", content=body, headers=headers)


def kept(database: Database, workspace: Workspace) -> list[str]:
    with database.tenant(workspace.id) as connection:
        return list(connection.execute(text("SELECT external_id FROM sync.webhook_events")).scalars())


def test_a_signature_of_odd_characters_is_refused(platform: RunningApi) -> None:
    body, headers = signed(event_about(CUSTOMER, "customer.updated"), secret=NEW)
    odd = f"{headers['Stripe-Signature']}é".encode("latin-1")
    answer = platform.ask(
        "POST", f"{PREFIX}/webhooks/stripe", content=body, headers=headers | {"Stripe-Signature": odd}
    )
    assert problem(answer, 403)["type"].endswith("webhook-rejected")


def connect(
    database: Database, keyring: Keyring, account: str | None, *, key: str = "sk_test_of_its_own", reached: bool = True
) -> tuple[Workspace, Source]:
    """A workspace with a source of that connected account, which it has reached."""
    workspace = new_workspace(database)
    credentials = Credentials(api_key=SecretStr(key))
    create_configuration(
        database, keyring, workspace, "stripe", credentials, is_test_mode=True, connected_account_id=account
    )
    if reached and account is not None:
        record_account(database, workspace.id, "stripe", account, "Ltd.", livemode=False)
    return workspace, find_source(database, f"{workspace.slug}:stripe")


def test_an_event_goes_to_the_workspace_that_reached_its_account(
    platform: RunningApi, database: Database, keyring: Keyring
) -> None:
    one, _source = connect(database, keyring, "acct_routed_one")
    other, _source = connect(database, keyring, "acct_routed_other")
    for secret, event_id in ((NEW, "evt_new"), (OLD, "evt_old")):
        answer = send(platform, "acct_routed_one", event_id=event_id, secret=secret)
        assert (answer.status_code, answer.json()["reason"]) == (200, None), answer.text
        assert answer.json()["status"] in ("kept", "applied")
    assert send(platform, "acct_routed_one", event_id="evt_new").json()["status"] == "known"
    assert sorted(kept(database, one)) == ["evt_new", "evt_old"]
    assert kept(database, other) == []


def test_what_nobody_has_proven_to_be_theirs_is_given_to_nobody(
    platform: RunningApi, database: Database, keyring: Keyring
) -> None:
    registered, _source = connect(database, keyring, "acct_only_registered", reached=False)
    register_account(database, registered.id, "stripe", AccountClaim("acct_only_registered", livemode=False))
    gone, _source = connect(database, keyring, "acct_gone")
    remove_configuration(database, find_active_configuration(database, gone, "stripe"))
    reached = new_workspace(database)
    record_account(database, reached.id, "stripe", "acct_not_read", None, livemode=False)
    create_configuration(
        database,
        keyring,
        reached,
        "stripe",
        Credentials(api_key=SecretStr("sk_test_of_another_account")),
        is_test_mode=True,
        connected_account_id="acct_which_is_read",
    )
    cases: list[tuple[str | None, dict[str, Any], str]] = [
        ("acct_only_registered", {}, "No workspace's connection"),
        ("acct_of_nobody", {}, "No workspace's connection"),
        ("acct_gone", {}, "no active source"),
        ("acct_not_read", {}, "no active source"),
        ("acct_gone", {"livemode": True}, "No workspace's connection"),
        (None, {}, "names no account"),
        ("acct_gone", {"data": []}, "Nobody can tell"),
    ]
    for number, (account, more, why) in enumerate(cases):
        answer = send(platform, account, event_id=f"evt_unrouted_{number}", **more)
        assert (answer.status_code, answer.json()["status"]) == (200, "unrouted"), answer.text
        assert why in answer.json()["reason"]
    for workspace in (registered, gone, reached):
        assert kept(database, workspace) == []
    noted = {each.id: each for each in list_unrouted(database, limit=100)}
    assert noted["evt_unrouted_1"].account_id == "acct_of_nobody"
    assert noted["evt_unrouted_4"].livemode is True
    assert noted["evt_unrouted_5"].account_id is None
    assert send(platform, "acct_of_nobody", type="charge.succeeded").json()["status"] == "ignored"


def test_only_the_platform_s_secret_opens_its_address(platform: RunningApi, api: RunningApi) -> None:
    assert problem(send(platform, "acct_x", secret="whsec_of_a_tenant"), 403)["type"].endswith("webhook-rejected")
    assert "takes no webhooks" in problem(send(api, "acct_x"), 404)["detail"]


def test_an_account_that_another_reached_first_stays_its_own(
    platform: RunningApi, database: Database, keyring: Keyring
) -> None:
    first, _source = connect(database, keyring, "acct_contested")
    second, _source = connect(database, keyring, "acct_contested", key="sk_test_of_the_second")
    send(platform, "acct_contested")
    assert (kept(database, first), kept(database, second)) == (["evt_1"], [])
    with pytest.raises(Exception, match="another workspace's"):
        allow_account(database, second, "stripe", "acct_contested", livemode=False)


def test_a_tenant_uses_the_platform_s_key_only_for_what_an_operator_ties_to_it(
    platform: RunningApi, make_client: MakeClient, database: Database
) -> None:
    tenant = make_client()
    client = Client(base_url=platform.url + PREFIX, headers=tenant.headers, timeout=60)

    def create(**more: Any) -> Any:
        body = {"provider_name": "stripe", "configuration": {}, "connected_account_id": "acct_tied"} | more
        return client.post("/config", json=body)

    with client:
        assert "operator" in problem(create(), 409)["detail"]
        assert problem(create(connected_account_id=None), 422)["errors"][0]["field"] == "configuration.api_key"
        aimed = problem(create(configuration={"base_url": "http://127.0.0.1:9"}), 422)
        assert aimed["errors"][0]["field"] == "configuration.base_url"
        allow_account(database, tenant.workspace, "stripe", "acct_tied", livemode=False)
        made = create()
        assert (made.status_code, made.json()["is_test_mode"]) == (201, True), made.text
        path = f"/config/{made.json()['id']}"
        for change in ({"connected_account_id": "acct_of_another"}, {"connected_account_id": ""}):
            assert "operator" in problem(client.put(path, json=change), 409)["detail"]
        aimed = {"configuration": {"base_url": "http://127.0.0.1:9"}}
        problem(client.put(path, json=aimed), 422)
        assert client.get(path.replace("/config/", "/config/id/")).json()["connected_account_id"] == "acct_tied"
        record_account(database, tenant.workspace.id, "stripe", "acct_tied", None, livemode=False)
        assert send(platform, "acct_tied", event_id="evt_tied").json()["status"] in ("kept", "applied")
        disallow_account(database, tenant.workspace, "stripe", "acct_tied", livemode=False)
        taken_back = send(platform, "acct_tied", event_id="evt_taken_back").json()
        assert (taken_back["status"], "operator" in taken_back["reason"]) == ("unrouted", True)
        assert kept(database, tenant.workspace) == ["evt_tied"]
        allow_account(database, tenant.workspace, "stripe", "acct_tied", livemode=False)
        stranger = new_workspace(database)
        with pytest.raises(Exception, match="another workspace's"):
            allow_account(database, stranger, "stripe", "acct_tied", livemode=False)


def test_the_platform_s_key_is_never_stored_and_stops_with_the_tie(
    database: Database, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = SandboxAccount(api_key=PLATFORM_KEY, account_id="acct_platform_itself", customers=1)
    with SandboxServer([account]) as server:
        monkeypatch.setenv("STRIPE_API_KEY", PLATFORM_KEY)
        workspace = new_workspace(database)
        credentials = Credentials(uses_platform_key=True, base_url=server.url)
        with pytest.raises(AccountNotAllowedError):
            create_configuration(database, keyring, workspace, "stripe", credentials, is_test_mode=True)
        allow_account(database, workspace, "stripe", None, livemode=False)
        create_configuration(database, keyring, workspace, "stripe", credentials, is_test_mode=True)
        source = find_source(database, f"{workspace.slug}:stripe")
        report = check_connection(database, keyring, source)
        assert report.account is not None, report.problems
        assert report.account.id == "acct_platform_itself"
        route = find_route(database, "stripe", None, livemode=False)
        assert route.target is not None
        assert (route.target.workspace_id, route.is_own) == (workspace.id, True)
        disallow_account(database, workspace, "stripe", None, livemode=False)
        with pytest.raises(AccountNotAllowedError):
            check_connection(database, keyring, source)
    stored = text("SELECT configuration FROM sync.workspace_payment_configurations WHERE workspace_id = :id")
    with database.control() as connection:
        envelope = connection.execute(stored, {"id": workspace.id}).scalar_one()
    opened = keyring.decrypt(envelope, Binding(workspace.id, source.configuration_id, "stripe"))
    assert PLATFORM_KEY.encode() not in opened
