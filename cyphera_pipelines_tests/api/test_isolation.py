"""Every route is tried with every wrong key, and with another workspace's ids. A new route is tried too."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from cyphera_pipelines.api.app import describe_api
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.security.api_keys import new_key
from cyphera_pipelines.store.api_keys import create_api_key, revoke_api_key
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import metadata
from cyphera_pipelines_tests.api.conftest import PREFIX, Client, MakeClient, RunningApi, problem
from cyphera_pipelines_tests.conftest import new_workspace

# A webhook's signature stands for a key: see test_webhooks.
# A purge's id, which only whoever asked for it knows, does too: the workspace's keys are gone. See test_purges.
PUBLIC = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/purges/{purge_id}",
    f"{PREFIX}/webhooks/{{provider}}/{{config_id}}",
    f"{PREFIX}/webhooks/{{provider}}",
}
DOCUMENTS = {"/docs", "/docs/assets", "/openapi.json"}
# Whoever is not signed in is sent to the page's form: see the tests of the operations page.
OPERATIONS_PAGE = "/ops"
BODIES: dict[str, dict[str, Any]] = {
    "createConfiguration": {
        "provider_name": "stripe",
        "is_active": False,
        "configuration": {"api_key": "sk_test_api_intruder"},
    },
    "changeConfiguration": {"is_active": False, "configuration": {"api_key": "sk_test_api_intruder"}},
    "pauseConfiguration": {"reason": "Somebody else says so"},
    "startFullSync": {},
    "startDeltaSync": {},
    "createCustomer": {"name": "Intruder"},
    "updateCustomer": {"name": "Intruder"},
    "createProduct": {"name": "Intruder"},
    "updateProduct": {"name": "Intruder"},
    "createPrice": {"product_id": "prod_of_victim", "money": {"amount": 1, "currency": "usd"}},
    "updatePrice": {"active": False},
    "createSubscription": {"customer_id": "cus_of_victim", "items": [{"price_id": "price_of_victim"}]},
    "updateSubscription": {"cancel_at_period_end": True},
    "cancelSubscription": {},
    "createInvoice": {"customer_id": "cus_of_victim", "currency": "usd"},
    "payInvoice": {},
    "createPayment": {"money": {"amount": 1, "currency": "usd"}},
    "capturePayment": {},
    "createRefund": {"charge_id": "ch_of_victim"},
    "createExternalAccount": {"type": "payout_bank_account", "token": "btok_of_intruder"},
    "updateExternalAccount": {"account_holder_name": "Intruder"},
    "registerAccount": {"provider_name": "stripe", "account_id": "acct_of_victim", "livemode": False},
    "addAlertChannel": {"name": "Intruder", "kind": "webhook", "address": "https://intruder.example.com/alerts"},
    "setAlertRule": {"cause": "failed", "is_on": False},
}


@dataclass(frozen=True)
class Operation:
    """A method of a path, as the document names it."""

    method: str
    path: str
    name: str
    has_body: bool

    def ask(self, api: RunningApi, ids: dict[str, str], headers: dict[str, str]) -> httpx.Response:
        body = {"json": BODIES[self.name]} if self.has_body else {}
        return api.ask(self.method, self.path.format(**ids), headers=headers, **body)

    def __str__(self) -> str:
        return self.name


def operations() -> Iterator[Operation]:
    for path, methods in describe_api().openapi()["paths"].items():
        for method, described in methods.items():
            yield Operation(method.upper(), path, described["operationId"], "requestBody" in described)


GUARDED = [operation for operation in operations() if operation.path not in PUBLIC]


@dataclass
class Victim:
    """A workspace with one of everything."""

    client: Client
    database: Database
    ids: dict[str, str]

    def state(self) -> list[str]:
        """Every row of theirs, in every table; only that a key was used, or refused, may be noted meanwhile."""
        with self.database.control() as connection:
            rows = list(connection.execute(_ROWS, {"id": self.client.workspace.id}).scalars())
        assert len(rows) > 8, "there is something to change"
        return rows

    def traces(self) -> set[str]:
        """What nobody else may ever see."""
        return {
            str(self.client.workspace.id),
            self.client.workspace.slug,
            self.ids["config_id"],
            self.ids["session_id"],
            self.ids["event_id"],
            self.ids["write_id"],
            self.ids["channel_id"],
            "acct_of_victim",
            "victims_own",
        }


_ROWS = text(
    "SELECT name || row::text FROM ("
    + " UNION ALL ".join(
        f"SELECT '{table.fullname} ' AS name, to_jsonb(kept) - 'last_used_at' AS row FROM {table.fullname} AS kept "
        "WHERE workspace_id = :id"
        for table in metadata.sorted_tables
        if "workspace_id" in table.columns
    )
    + ") AS rows WHERE row ->> 'outcome' IS DISTINCT FROM 'refused' ORDER BY 1"
)

_KEPT_WEBHOOK = text(
    "INSERT INTO sync.webhook_events (workspace_id, provider_name, livemode, external_id, event_type, entity_type, "
    "payload) VALUES (:workspace_id, 'stripe', false, :id, 'customer.updated', 'customers', '{\"victims_own\": 1}')"
)

_KEPT_WRITE = text(
    "INSERT INTO sync.provider_writes (id, workspace_id, configuration_id, provider_name, livemode, key_digest, kind, "
    "operation, object_id, idempotency_key, request_fingerprint, request, state, actor, looked_at) VALUES (:id, "
    ":workspace_id, :configuration_id, 'stripe', false, 'digest', 'customers', 'create', 'cus_of_victim', "
    "'victims_own', 'fingerprint', 'request', 'unknown', 'api_key:victims_own', now() - interval '1 hour')"
)


@pytest.fixture
def victim(make_client: MakeClient, sandbox: SandboxServer, database: Database) -> Victim:
    client = make_client()
    credentials = {"api_key": "sk_test_api_victims_own", "base_url": sandbox.url}
    body = {"provider_name": "stripe", "configuration": credentials, "metadata": {"note": "victims_own"}}
    made = client.post("/config", json=body).json()
    account = {"provider_name": "stripe", "account_id": f"acct_of_victim_{uuid4().hex}", "livemode": False}
    assert client.post("/accounts", json=account).status_code == 201
    session = client.post("/stripe/initial").json()
    ids = {"config_id": made["id"], "reference": made["id"], "session_id": session["session_id"], "provider": "stripe"}
    ids |= {"id": "cus_of_victim", "write_id": str(uuid4())}
    channel = {"name": "victims_own", "kind": "webhook", "address": "https://victim.example.com/alerts"}
    added = client.post(client.base_url.copy_with(path="/api/v1/alert-channels"), json=channel).json()
    ids["channel_id"] = added["id"]
    ids["event_id"] = f"evt_of_victim_{uuid4().hex}"
    row = {"id": ids["event_id"], "workspace_id": client.workspace.id}
    write = {"workspace_id": client.workspace.id, "configuration_id": made["id"], "id": ids["write_id"]}
    with database.control() as connection:
        connection.execute(_KEPT_WEBHOOK, row)
        connection.execute(_KEPT_WRITE, write)
    return Victim(client, database, ids)


def headers(key: str, workspace: Workspace) -> dict[str, str]:
    return {"X-API-Key": key, "X-Workspace-ID": str(workspace.id)}


def revoked_key(database: Database, workspace: Workspace) -> str:
    row, key = create_api_key(database, workspace, "revoked")
    revoke_api_key(database, row.id)
    return key.as_text()


def test_every_route_is_known_and_guarded(api: RunningApi) -> None:
    documented = api.app.openapi()["paths"]
    for path, methods in documented.items():
        assert path in PUBLIC or path.startswith("/api/v1/"), path
        for method, described in methods.items():
            guards = described.get("security", [])
            assert guards == ([] if path in PUBLIC else [{"ApiKey": [], "Workspace": []}]), (method, path)
    served = {path for path in map(_path_of, api.app.routes) if path is not None}
    pages = {path for path in served if path == OPERATIONS_PAGE or path.startswith(f"{OPERATIONS_PAGE}/")}
    assert served - pages <= set(documented) | DOCUMENTS
    assert not pages & set(documented)


def _path_of(route: object) -> str | None:
    path: str | None = getattr(route, "path", None)
    return path


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_no_route_answers_without_a_valid_key(
    operation: Operation, api: RunningApi, victim: Victim, database: Database
) -> None:
    stranger = new_workspace(database)
    _row, stranger_key = create_api_key(database, stranger, "stranger")
    own, workspace = victim.client.key, victim.client.workspace
    attempts: dict[str, dict[str, str]] = {
        "nothing": {},
        "key alone": {"X-API-Key": own},
        "workspace alone": {"X-Workspace-ID": str(workspace.id)},
        "empty key": headers("", workspace),
        "no key": headers("Bearer something", workspace),
        "unknown key": headers(new_key().as_text(), workspace),
        "wrong secret": headers(f"{own[:-5]}AAAAA", workspace),
        "revoked key": headers(revoked_key(database, workspace), workspace),
        "another workspace's key": headers(stranger_key.as_text(), workspace),
        "another workspace's id": headers(own, stranger),
        "unknown workspace": {"X-API-Key": own, "X-Workspace-ID": str(uuid4())},
        "malformed workspace": {"X-API-Key": own, "X-Workspace-ID": workspace.slug},
    }
    before = victim.state()
    answers = set()
    for sent in attempts.values():
        document = problem(response := operation.ask(api, victim.ids, sent), 401)
        document.pop("request_id")
        answers.add((repr(document), response.headers["WWW-Authenticate"]))
    assert len(answers) == 1, "all failures look the same"
    malformed = api.ask(operation.method, operation.path, content=b"{")
    assert malformed.status_code == 401, "the key comes before everything else"
    assert victim.state() == before


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_another_workspace_s_ids_are_as_unknown_as_any(
    operation: Operation, api: RunningApi, victim: Victim, make_client: MakeClient
) -> None:
    intruder = make_client(level=KeyLevel.ADMIN)
    before = victim.state()
    unknown = {name: str(uuid4()) if name != "provider" else "stripe" for name in victim.ids}
    sent = headers(intruder.key, intruder.workspace)
    with_theirs, with_unknown = (operation.ask(api, ids, sent) for ids in (victim.ids, unknown))
    for trace in victim.traces() - set(victim.ids.values()):
        if operation.name != "registerAccount":
            assert trace not in with_theirs.text
    if operation.name == "listWrites":
        # Its path names nothing of theirs.
        assert with_theirs.json() == {"writes": [], "total": 0, "limit": 20, "offset": 0}
    elif "{" in operation.path:
        assert with_theirs.status_code == with_unknown.status_code == 404
        assert _without_ids(with_theirs, victim.ids) == _without_ids(with_unknown, unknown)
    assert victim.state() == before


def _without_ids(response: httpx.Response, ids: dict[str, str]) -> str:
    text = response.text.replace(response.headers["X-Request-ID"], "")
    for value in ids.values():
        text = text.replace(value, "")
    return text


def test_lists_hold_one_workspace_s_rows_only(
    make_client: MakeClient, add_source: Callable[..., Source], victim: Victim
) -> None:
    client = make_client()
    add_source("sk_test_api_of_another")
    for path, name in (("/config", "configurations"), ("/sessions", "sessions"), ("/accounts", "accounts")):
        answer = client.get(path).json()
        assert (answer[name], answer["total"]) == ([], 0)
        assert victim.client.get(path).json()["total"] == 1
