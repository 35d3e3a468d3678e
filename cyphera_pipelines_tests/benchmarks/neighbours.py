"""Bad neighbours: workspaces of many sources that are slow, that fail, or that take hours to list."""

from typing import Any
from uuid import UUID, uuid4

import orjson
from pydantic import SecretStr
from sqlalchemy import text

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.schedule import MOST_CHANGES_EVERY
from cyphera_pipelines.security.encryption import Binding
from cyphera_pipelines_tests.benchmarks.workbench import Workbench

MOST_OF_A_WORKSPACE = 2_000
NOBODY_LISTENS = "http://127.0.0.1:1"
"""A port at which connections are refused."""

_INSERTS = (
    "INSERT INTO sync.workspace_payment_configurations (id, workspace_id, provider_name, is_active, is_test_mode, "
    "configuration) VALUES (:configuration_id, :workspace_id, :provider, true, false, :configuration)",
    "INSERT INTO sync.source_schedules (workspace_id, provider_name, changes_every_seconds, due_at, listing_due_at, "
    "last_failure) VALUES (:workspace_id, :provider, :every, now(), now() + make_interval(secs => :listing_due_in), "
    "'It failed before.')",
)


def provider_of(number: int) -> str:
    """What the provider of a workspace's source of that number is called: each has one of its own."""
    return f"neighbour{number}"


def add_neighbours(bench: Workbench, count: int, *, api_key: str, base_url: str, lists: bool) -> UUID:
    """Make a workspace of so many sources that are all due, and return its id. Each is listed first, if it `lists`."""
    workspace_id = uuid4()
    rows: list[dict[str, Any]] = []
    credentials = Credentials(api_key=SecretStr(api_key), base_url=base_url)
    plain = credentials.model_dump(mode="json", exclude_none=True) | {"api_key": api_key}
    for number in range(count):
        configuration_id, provider = uuid4(), provider_of(number)
        binding = Binding(workspace_id, configuration_id, provider)
        rows.append(
            {
                "workspace_id": workspace_id,
                "configuration_id": configuration_id,
                "provider": provider,
                "configuration": bench.keyring.encrypt(orjson.dumps(plain), binding),
                "every": MOST_CHANGES_EVERY,
                "listing_due_in": 0 if lists else 30 * 86_400,
            }
        )
    with bench.database.control() as connection:
        named = {"id": workspace_id, "slug": f"neighbour-{workspace_id.hex[:20]}"}
        connection.execute(text("INSERT INTO sync.workspaces (id, slug, name) VALUES (:id, :slug, :slug)"), named)
        for statement in _INSERTS:
            connection.execute(text(statement), rows)
        if not lists:
            # As if they had been listed: what they are due for is changes.
            connection.execute(
                text(
                    "INSERT INTO sync.sync_cursors (workspace_id, provider_name, livemode, entity_type, watermark, "
                    "full_listing_at) SELECT workspace_id, provider_name, true, 'customers', now(), now() "
                    "FROM sync.workspace_payment_configurations WHERE workspace_id = :id"
                ),
                {"id": workspace_id},
            )
    return workspace_id
