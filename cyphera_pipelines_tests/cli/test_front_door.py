"""The API's own process against connections and requests that never come to an end."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests

from cyphera_pipelines.api.body_limit import BODY_WITHIN
from cyphera_pipelines.api.connections import MOST_WITHOUT_A_HEAD
from cyphera_pipelines.sandbox import SandboxAccount
from cyphera_pipelines_tests.api.conftest import DEADLINE_SECONDS, until
from cyphera_pipelines_tests.cli.command import Cyphera, ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource
from cyphera_pipelines_tests.cli.test_api import serving
from cyphera_pipelines_tests.webhooks import SECRET, event_about, signed

pytestmark = pytest.mark.slow

FLOOD = 1_050
WEBHOOKS = "/api/v1/sync/webhooks/stripe/"
EVENT = event_about(
    {"id": "cus_1", "object": "customer", "created": 1_700_000_000, "livemode": False}, "customer.updated"
)


def configured(forked: ForkedCyphera, slug: str, url: str) -> tuple[dict[str, str], str]:
    """A tenant's headers, and the id of its configuration, which takes webhooks."""
    headers = dict(line.split(": ") for line in forked("key", "create", slug).done().splitlines())
    base = f"{url}/api/v1/sync/config"
    config_id = requests.get(f"{base}/stripe", headers=headers, timeout=60).json()["id"]
    secret = {"configuration": {"webhook_secret": SECRET}}
    assert requests.put(f"{base}/{config_id}", headers=headers, json=secret, timeout=60).status_code == 200
    return headers, config_id


@contextmanager
def connected(url: str, count: int, make: Callable[[], bytes]) -> Iterator[list[socket.socket]]:
    """So many connections on which something was sent."""
    address = urlsplit(url)
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_connection((address.hostname or "", address.port or 0), DEADLINE_SECONDS))
            for _ in range(count)
        ]
        for each in sockets:
            with suppress(ConnectionError):  # it may have been closed by now
                each.sendall(make())
        yield sockets


def answer_on(connection: socket.socket) -> bytes:
    """What came back; nothing of a connection that had been closed, before its request was sent or after."""
    try:
        return connection.recv(65_536)
    except ConnectionError:
        return b""


def post_without_a_body(config_id: str) -> bytes:
    return f"POST {WEBHOOKS}{config_id} HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n".encode()


@pytest.mark.parametrize("is_known", [True, False], ids=["of a tenant", "of nobody"])
def test_a_flood_of_webhooks_without_bodies_is_nobody_else_s(
    is_known: bool, cyphera: Cyphera, forked: ForkedCyphera, add_source: AddSource, account: SandboxAccount
) -> None:
    with serving(cyphera, stderr=subprocess.DEVNULL) as (_process, url):
        _headers, flooded_id = configured(forked, add_source(account.api_key), url)
        headers, config_id = configured(forked, add_source(account.api_key), url)
        began, took = time.monotonic(), 0.0
        with connected(url, FLOOD, lambda: post_without_a_body(flooded_id if is_known else str(uuid4()))) as sockets:
            for number in range(3):
                listed = requests.get(f"{url}/api/v1/sync/sessions", headers=headers, timeout=60)
                assert listed.status_code == 200, listed.text
                body, signature = signed(EVENT)
                told = requests.post(f"{url}{WEBHOOKS}{config_id}", data=body, headers=signature, timeout=60)
                assert told.status_code == 200, told.text
                if not number:
                    # By now every head of the flood was read, which came before.
                    took = time.monotonic() - began
            answers = [answer_on(each) for each in sockets]
    # Of connections on which no head was read yet, the oldest make way for those beyond so many.
    assert answers.count(b"") <= FLOOD - MOST_WITHOUT_A_HEAD
    statuses = sorted(answer.split(b" ")[1] for answer in answers if answer)
    if is_known:
        assert set(statuses) == {b"408", b"429"}, "some are waited for, in vain; the others are told to come later"
        # Where it takes longer to read them, the first ones were waited for in vain meanwhile, and others are.
        assert 50 <= statuses.count(b"408") <= 50 * (1 + took // BODY_WITHIN)
    else:
        assert set(statuses) <= {b"404", b"503"}, "refused without waiting for a body"


def test_more_connections_without_a_head_than_there_may_be_keep_nobody_out(cyphera: Cyphera) -> None:
    with serving(cyphera, stderr=subprocess.DEVNULL) as (_process, url), connected(url, 2_000, lambda: b"G"):
        assert requests.get(f"{url}/healthz", timeout=60).json() == {"status": "ok"}
        until(lambda: requests.get(f"{url}/readyz", timeout=60).status_code in (200, 503))
