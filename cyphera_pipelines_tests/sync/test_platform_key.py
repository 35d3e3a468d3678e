"""Accounts that are read with the platform's key: whose they are, and what a rotated key changes."""

import pytest

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.platform_accounts import AccountNotAllowedError, allow_account, disallow_account
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.webhook_routing import find_route
from cyphera_pipelines_tests.conftest import new_workspace
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

ROTATED = "sk_test_platform_key_rotated"
PLATFORM = SandboxAccount(
    api_key="sk_test_platform_key", account_id="acct_with_tenants", customers=2, more_keys=(ROTATED,)
)
CONNECTED = SandboxAccount(
    api_key="sk_test_platform_tenant", account_id="acct_of_tenant", platform="acct_with_tenants", customers=30
)


def test_a_rotated_platform_key_lists_nothing_anew(
    database: Database, keyring: Keyring, sync_now: RunSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", PLATFORM.api_key)
    workspace = new_workspace(database)
    allow_account(database, workspace, "stripe", "acct_of_tenant", livemode=False)
    with SandboxServer([PLATFORM, CONNECTED], SandboxOptions()) as sandbox:
        credentials = Credentials(uses_platform_key=True, base_url=sandbox.url)
        create_configuration(
            database,
            keyring,
            workspace,
            "stripe",
            credentials,
            is_test_mode=True,
            connected_account_id="acct_of_tenant",
        )
        source = find_source(database, f"{workspace.slug}:stripe")
        assert find_route(database, "stripe", "acct_of_tenant", livemode=False).target is None
        assert sync_now(source).status is SessionStatus.COMPLETED
        routed = find_route(database, "stripe", "acct_of_tenant", livemode=False).target
        assert routed is not None
        assert routed.configuration_id == source.configuration_id

        monkeypatch.setenv("STRIPE_API_KEY", ROTATED)
        sandbox.state.apply_changes("acct_of_tenant", create={"customers": 2})
        outcome = sync_now(source, only_changes=True)
        assert outcome.status is SessionStatus.COMPLETED
        told = {event.event_type for event in list_events(database, workspace.id, outcome.session.id)}
        assert told.isdisjoint({"account_changed", "delta_not_possible"})
        assert_tables_equal_truth(database, source, sandbox.state, "acct_of_tenant")

        disallow_account(database, workspace, "stripe", "acct_of_tenant", livemode=False)
        with pytest.raises(AccountNotAllowedError, match="operator"):
            sync_now(source, only_changes=True)
