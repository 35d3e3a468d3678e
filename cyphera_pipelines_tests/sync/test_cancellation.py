"""A cancelled sync ends soon, whatever it is waiting for.

How soon is printed (`pytest -s`) and not asserted, since other work may keep the machine busy: two seconds at most.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.model.merged_rows import NO_ROW
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import get_session
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_session
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.sync.conftest import RunSync

DEADLINE_SECONDS = 300.0
ACCOUNT = SandboxAccount(
    api_key="sk_test_cancellation",
    account_id="acct_cancellation",
    seed=25,
    customers=150,
    products=10,
    prices=20,
    subscriptions=40,
    invoices=120,
    long_invoice_share=0.5,
    event_api_version="2024-06-20",  # every changed object is fetched
)


@dataclass(frozen=True)
class Wait:
    """Something that takes a sync long. It is cancelled after a request to `endpoint`."""

    endpoint: str
    options: SandboxOptions
    rate_limits: RateLimits | None = None
    only_changes: bool = False


WAITS = {
    "for a turn": Wait("GET /v1/account", SandboxOptions(), rate_limits=RateLimits(account=0.05, endpoint=0.05)),
    "as the provider asks": Wait(
        "GET /v1/invoices",
        SandboxOptions(faults=(Fault(kind=FaultKind.RATE_LIMIT, path="/v1/invoices", retry_after=600),)),
    ),
    "for changed objects": Wait("GET /v1/customers/:id", SandboxOptions(latency_ms=400), only_changes=True),
    "for nested lists": Wait("GET /v1/invoices/:id/lines", SandboxOptions(latency_ms=400)),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=[name.replace(" ", "-") for name in WAITS])
def test_a_cancelled_sync_ends_although_it_waits(
    wait: Wait, add_source: Callable[..., Source], sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    with SandboxServer([ACCOUNT], SandboxOptions()) as sandbox, ThreadPoolExecutor(1) as threads:
        source = add_source(ACCOUNT.api_key, sandbox.url)
        if wait.only_changes:
            assert sync_now(source).status is SessionStatus.COMPLETED
            sandbox.state.apply_changes(ACCOUNT.account_id, update={"customers": 120, "invoices": 100})
        sandbox.state.set_options(wait.options)
        waiting = threading.Event()

        def watch(endpoint: str, _query: str) -> None:
            if endpoint == wait.endpoint:
                waiting.set()

        sandbox.state.watchers.append(watch)
        request = SyncRequest(only_changes=wait.only_changes)
        session = open_session(database, source, request)
        limited = replace(source, rate_limits=wait.rate_limits or source.rate_limits)
        running = threads.submit(run_sync, SyncJob(database, keyring, limited, session, request))
        assert waiting.wait(DEADLINE_SECONDS)
        asked_at = time.monotonic()
        cancel_session(database, session, Cancellation.with_command("Cancelled", "tests"))
        assert running.result(DEADLINE_SECONDS).status is SessionStatus.CANCELLED
        print(f"Cancelled within {time.monotonic() - asked_at:.2f} s.")
        ended = get_session(database, source.workspace_id, session.id)
        assert ended.status is SessionStatus.CANCELLED
        assert ended.error_summary is not None
        continues = ended.error_summary["message"].endswith("The next sync continues from there.")
        assert continues == (NO_ROW not in ended.error_summary["message"])
