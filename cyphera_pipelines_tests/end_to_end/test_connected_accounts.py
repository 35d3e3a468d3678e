"""One platform's key, its own data and that of two connected accounts, over real processes: to each its own."""

import httpx
import pytest

from cyphera_pipelines.sandbox import SandboxAccount
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.workspaces import create_workspace
from cyphera_pipelines_tests.end_to_end.conftest import NO_LIMITS, Installation
from cyphera_pipelines_tests.end_to_end.test_api_to_tables import client_of, ended, start
from cyphera_pipelines_tests.truth import assert_tables_equal_truth
from cyphera_pipelines_tests.webhooks import SECRET, event_about, signed

pytestmark = pytest.mark.slow


def connect(
    client: httpx.Client, installation: Installation, platform: SandboxAccount, connected: SandboxAccount | None
) -> str:
    body = {
        "provider_name": "stripe",
        "configuration": {
            "api_key": platform.api_key,
            "base_url": installation.sandbox.url,
            "webhook_secret": SECRET,
        },
        "connected_account_id": None if connected is None else connected.account_id,
        "metadata": NO_LIMITS,
    }
    created = client.post("/config", json=body)
    assert created.status_code == 201, created.text
    return str(created.json()["id"])


def test_each_workspace_gets_the_account_that_it_names_and_no_other(installation: Installation) -> None:
    platform = installation.add_account(customers=30)
    accounts = [platform, *(installation.add_account(customers=30, platform=platform.account_id) for _ in range(2))]
    workspaces = [create_workspace(installation.database, f"connected-{number}") for number in range(3)]
    sources, config_ids = [], []
    for account, workspace in zip(accounts, workspaces, strict=True):
        connected = None if account is platform else account
        with client_of(installation, workspace) as client:
            config_ids.append(connect(client, installation, platform, connected))
            tested = client.post(f"/config/{config_ids[-1]}/test").json()
            assert (tested["success"], tested["account"]["id"]) == (True, account.account_id)
            assert ended(client, start(client))["status"] == "completed"
        source = find_source(installation.database, f"{workspace.slug}:stripe")
        sources.append(source)
        assert_tables_equal_truth(installation.database, source, installation.sandbox, account.account_id)

    # A Connect endpoint is told of every connected account, here each configuration of all of them.
    for number, account in enumerate(accounts):
        customer = next(installation.sandbox.truth(account.account_id, "customers"))
        renamed = {"name": f"Renamed in {account.account_id}"}
        installation.sandbox.patch(account.account_id, customer["id"], renamed, with_event=False)
        named = {} if account is platform else {"account": account.account_id}
        event = event_about({**customer, **renamed}, "customer.updated", event_id=f"evt_{number}") | named
        for owner, config_id in enumerate(config_ids):
            body, headers = signed(event)
            url = f"{installation.api_url}/api/v1/sync/webhooks/stripe/{config_id}"
            answer = httpx.post(url, content=body, headers=headers, timeout=120)
            expected = "applied" if owner == number else "refused"
            assert (answer.status_code, answer.json()["status"]) == (200, expected), answer.text

    for account, source in zip(accounts, sources, strict=True):
        assert_tables_equal_truth(installation.database, source, installation.sandbox, account.account_id)
