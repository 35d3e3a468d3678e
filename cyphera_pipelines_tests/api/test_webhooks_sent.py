"""The whole way: an endpoint made through the provider's API, and events that the provider itself sends and signs."""

from pathlib import Path

import pytest
import stripe
from sqlalchemy import text

from cyphera_pipelines.api.app import create_app
from cyphera_pipelines.connection_budget import API_PROCESS
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.accounts import record_account
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.unrouted_webhooks import list_unrouted
from cyphera_pipelines.sync.webhook_endpoint import create_endpoint, webhook_url
from cyphera_pipelines_tests.api.conftest import PREFIX, MakeClient, RunningApi, serving, until

PLATFORM = SandboxAccount(api_key="sk_test_sends_platform", account_id="acct_sends_platform", customers=1)
ONE, OTHER = (
    SandboxAccount(
        api_key=f"sk_test_sends_{name}", account_id=f"acct_sends_{name}", customers=3, platform="acct_sends_platform"
    )
    for name in ("one", "other")
)


def came(database: Database, workspace_id: object) -> int:
    statement = text("SELECT count(*) FROM sync.webhook_events WHERE workspace_id = :id")
    with database.control() as connection:
        return int(connection.execute(statement, {"id": workspace_id}).scalar_one())


def test_an_endpoint_that_was_made_gets_what_happens(
    api: RunningApi, make_client: MakeClient, database: Database, keyring: Keyring
) -> None:
    client = make_client()
    with SandboxServer([PLATFORM, ONE], SandboxOptions()) as sandbox:
        credentials = {"api_key": ONE.api_key, "base_url": sandbox.url}
        assert client.post("/config", json={"provider_name": "stripe", "configuration": credentials}).status_code == 201
        source = find_source(database, f"{client.workspace.slug}:stripe")
        url = webhook_url(api.url, "stripe", source.configuration_id)
        made = create_endpoint(database, keyring, source, url)
        assert made.endpoint.api_version == stripe.api_version
        sandbox.state.apply_changes(ONE.account_id, update={"customers": 2})
        until(lambda: came(database, client.workspace.id) >= 2)
    assert client.get("/config/stripe").json()["last_webhook_refusal"] is None


def test_a_platform_s_endpoint_gives_each_its_own(
    make_client: MakeClient, database: Database, keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET_FILE", str(secret))
    settings = load_settings()
    own = open_database(settings, application_name="cyphera api", pool_size=API_PROCESS)
    client = make_client()
    with (
        SandboxServer([PLATFORM, ONE, OTHER], SandboxOptions()) as sandbox,
        serving(create_app(own, keyring, settings, None)) as platform,
    ):
        at_provider = stripe.StripeClient(PLATFORM.api_key, base_addresses={"api": sandbox.url})
        made = at_provider.v1.webhook_endpoints.create(
            {
                "url": f"{platform.url}{PREFIX}/webhooks/stripe",
                "enabled_events": ["customer.updated"],
                "api_version": stripe.api_version,  # type: ignore[typeddict-item]
                "connect": True,
            }
        )
        secret.write_text(made.secret or "")
        body = {
            "provider_name": "stripe",
            "configuration": {"api_key": PLATFORM.api_key, "base_url": sandbox.url},
            "connected_account_id": ONE.account_id,
        }
        assert client.post("/config", json=body).status_code == 201
        record_account(database, client.workspace.id, "stripe", ONE.account_id, None, livemode=False)
        for account in (ONE, OTHER):
            sandbox.state.apply_changes(account.account_id, update={"customers": 2})
        until(lambda: came(database, client.workspace.id) >= 2)
        of_other = {"acct_sends_other"}
        until(lambda: of_other <= {each.account_id for each in list_unrouted(database, limit=1_000)})
        assert came(database, client.workspace.id) == 2
    own.close()
