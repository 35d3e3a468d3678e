"""Sources at rest, thousands of them: as they are after a first sync in which their one account was listed whole."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import orjson
from pydantic import SecretStr
from sqlalchemy import text

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.limits import HIGHEST_RATE
from cyphera_pipelines.model.schedule import MOST_CHANGES_EVERY, offset_of
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.sandbox import SandboxAccount
from cyphera_pipelines.security.encryption import Binding
from cyphera_pipelines.store.sources import find_source_of
from cyphera_pipelines.sync.client import open_client
from cyphera_pipelines_tests.benchmarks.workbench import Workbench

_ACCOUNT = SandboxAccount(
    api_key="sk_live_resting",
    account_id="acct_resting",
    customers=1,
    products=1,
    prices=1,
    subscriptions=1,
    invoices=1,
)
_INSERTS = (
    "INSERT INTO sync.workspaces (id, slug, name) VALUES (:workspace_id, :slug, :slug)",
    "INSERT INTO sync.workspace_payment_configurations (id, workspace_id, provider_name, is_active, is_test_mode, "
    "configuration, metadata) VALUES (:configuration_id, :workspace_id, 'stripe', true, false, :configuration, "
    """jsonb_build_object('rate_limits', jsonb_build_object('account', :rate, 'endpoint', :rate)))""",
    "INSERT INTO sync.source_schedules (workspace_id, provider_name, changes_every_seconds, due_at, listing_due_at, "
    "fresh_at) VALUES (:workspace_id, 'stripe', :every, now() + make_interval(secs => :due_in), "
    "now() + interval '30 days', now())",
)
_LISTED = (
    "INSERT INTO sync.sync_cursors (workspace_id, provider_name, livemode, entity_type, watermark, full_listing_at, "
    "mapping_version) SELECT workspace_id, 'stripe', true, unnest(CAST(:entities AS text[])), now(), now(), :mapping "
    "FROM sync.workspace_payment_configurations WHERE id = ANY (:ids)",
    "INSERT INTO sync.synced_accounts (workspace_id, provider_name, livemode, account_id, key_digest) "
    "SELECT workspace_id, 'stripe', true, 'acct_resting', :digest FROM sync.workspace_payment_configurations "
    "WHERE id = ANY (:ids)",
)


def add_resting_sources(bench: Workbench, count: int, *, within: float) -> Sequence[UUID]:
    """Make so many sources, each in a workspace of its own and due at its place within so many seconds from now.

    Returns the workspaces' ids. They are due again in up to a week.
    """
    bench.sandbox.put_account(_ACCOUNT)
    credentials = Credentials(api_key=SecretStr(_ACCOUNT.api_key), base_url=bench.sandbox.url)
    plain = credentials.model_dump(mode="json", exclude_none=True) | {"api_key": _ACCOUNT.api_key}
    provider, rows, workspaces = find_provider("stripe"), list[dict[str, Any]](), list[UUID]()
    for _ in range(count):
        workspace_id, configuration_id = uuid4(), uuid4()
        binding = Binding(workspace_id, configuration_id, "stripe")
        workspaces.append(workspace_id)
        rows.append(
            {
                "workspace_id": workspace_id,
                "configuration_id": configuration_id,
                "slug": f"resting-{workspace_id.hex[:20]}",
                "configuration": bench.keyring.encrypt(orjson.dumps(plain), binding),
                "rate": HIGHEST_RATE,
                "every": MOST_CHANGES_EVERY,
                "due_in": offset_of(workspace_id, "stripe") * within,
            }
        )
    with bench.database.control() as connection:
        for statement in _INSERTS:
            connection.execute(text(statement), rows)
    source = find_source_of(bench.database, workspaces[0], "stripe")
    assert source is not None
    opened = open_client(
        bench.database,
        bench.keyring,
        source,
        on_request=lambda: None,
        on_retry=lambda _note: None,
        is_cancelled=lambda: False,
    )
    opened.client.close()
    values = {
        "ids": [row["configuration_id"] for row in rows],
        "digest": opened.key_digest,
        "entities": [entity.value for entity in provider.entities],
        "mapping": provider.mapping_version,
    }
    with bench.database.control() as connection:
        for statement in _LISTED:
            connection.execute(text(statement), values)
    with bench.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    return workspaces
