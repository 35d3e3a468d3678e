"""The API over real HTTP: a server in a thread of its own, and clients with keys."""

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest
import uvicorn
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from cyphera_pipelines.api.app import create_app
from cyphera_pipelines.api.connections import BoundedProtocol
from cyphera_pipelines.api.document import DocumentedApi
from cyphera_pipelines.api.logs import JsonLines, silence_others
from cyphera_pipelines.connection_budget import API_PROCESS
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.secrets import RedactingFilter
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.api_keys import create_api_key
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines_tests.conftest import new_workspace

DEADLINE_SECONDS = 180.0
# Made once: it takes longer than most requests.
_NO_TLS = ssl.create_default_context()
KEPT = httpx.Limits(keepalive_expiry=1.0)
"""Less than the server keeps an idle connection: a request must not set out on one that is being closed just now."""
PREFIX = "/api/v1/sync"
ACCOUNT = SandboxAccount(
    api_key="sk_test_api_account",
    account_id="acct_api",
    name="API Ltd.",
    seed=4,
    customers=60,
    products=6,
    prices=10,
    subscriptions=20,
    invoices=50,
    restricted_keys={
        "rk_test_api_no_customers": frozenset({"customer"}),
        "rk_test_api_no_account": frozenset({"account"}),
        "rk_test_api_no_events": frozenset({"event"}),
    },
)


@dataclass
class RunningApi:
    """The API, where it listens, and every line that its process has logged meanwhile."""

    app: DocumentedApi
    url: str
    lines: list[str]
    plain: httpx.Client
    """A client that sends nothing by itself."""

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Make a request that nobody's key is added to."""
        return self.plain.request(method, path, **request)


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.addFilter(RedactingFilter())
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))


@contextmanager
def serving(app: DocumentedApi) -> Iterator[RunningApi]:
    """Serve the application on a free port until the context is left."""
    silence_others()
    lines: list[str] = []
    handler = _Lines(lines)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, http=BoundedProtocol))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until(lambda: server.started)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=url, timeout=DEADLINE_SECONDS, verify=_NO_TLS, limits=KEPT) as plain:
            yield RunningApi(app, url, lines, plain)
        server.should_exit = True
        thread.join(DEADLINE_SECONDS)
    root.removeHandler(handler)
    root.setLevel(level)
    assert not thread.is_alive()


def until(condition: Callable[[], object]) -> None:
    """Wait for the condition, but not for ever."""
    patience = Retrying(
        retry=retry_if_result(lambda met: not met), stop=stop_after_delay(DEADLINE_SECONDS), wait=wait_fixed(0.02)
    )
    patience(condition)


@pytest.fixture(scope="package")
def api(settings: Settings, keyring: Keyring, database: Database) -> Iterator[RunningApi]:
    """The API on the tests' database, with a pool of the size that it has in production. It knows no Dagster."""
    own = open_database(settings, application_name="cyphera api", pool_size=API_PROCESS)
    with serving(create_app(own, keyring, settings, None)) as running:
        yield running
    own.close()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """The provider, for one file's tests: some files write to the account, and others count what is in it."""
    with SandboxServer([ACCOUNT]) as server:
        yield server


class Client(httpx.Client):
    """A client of one workspace: paths are those below the prefix."""

    workspace: Workspace
    key: str


MakeClient = Callable[..., Client]


@pytest.fixture
def make_client(api: RunningApi, database: Database) -> Iterator[MakeClient]:
    """Make a client: of a new workspace unless one is given, with headers of its own if wanted."""
    made: list[Client] = []

    def make(workspace: Workspace | None = None, level: KeyLevel = KeyLevel.SYNC, **headers: str) -> Client:
        workspace = workspace or new_workspace(database)
        _row, key = create_api_key(database, workspace, "tests", level)
        own = {"X-API-Key": key.as_text(), "X-Workspace-ID": str(workspace.id), **headers}
        client = Client(base_url=api.url + PREFIX, headers=own, timeout=DEADLINE_SECONDS, verify=_NO_TLS, limits=KEPT)
        client.workspace, client.key = workspace, key.as_text()
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    """A client of a workspace that no other test uses."""
    return make_client()


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of a response, given that it is one."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = orjson.loads(response.content)
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= document.keys()
    assert document["error_code"] in set(ErrorCode)
    assert document["status"] == status
    assert document["request_id"] == response.headers["X-Request-ID"]
    return document


def fields(response: httpx.Response) -> list[str]:
    """The fields that a 422 names; each comes with a message and a remedy."""
    errors = problem(response, 422)["errors"]
    assert all(error["message"] and error["remedy"] for error in errors)
    return [error["field"] for error in errors]
