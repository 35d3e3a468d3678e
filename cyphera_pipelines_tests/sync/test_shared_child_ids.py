"""Lines and items whose ids are not unique: those of old accounts, within one parent and among many."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.verification.repair import verify_and_repair
from cyphera_pipelines.sync.verification.report import VerificationReport
from cyphera_pipelines.sync.verification.verify import VerificationJob, verify
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.sync.sync_process import start_sync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth, read_live_rows

ID = "acct_shared_child_ids"
ACCOUNT = SandboxAccount(
    api_key="sk_test_shared_child_ids",
    account_id=ID,
    seed=3,
    customers=10,
    products=4,
    prices=12,
    subscriptions=70,
    invoices=60,
    long_invoice_share=0.05,
)
CHILDREN = {"invoices": "lines", "subscriptions": "items"}
DEADLINE = 120.0

Parent = dict[str, Any]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, add_source: Callable[..., Source]) -> Source:
    return add_source(ACCOUNT.api_key, sandbox.url)


def parents(sandbox: SandboxServer, collection: str) -> list[Parent]:
    """Those with at least two children and no more than are embedded, newest first."""
    field = CHILDREN[collection]
    return [each for each in sandbox.state.truth(ID, collection) if 2 <= len(each[field]["data"]) <= 10]


def share_ids(sandbox: SandboxServer, collection: str, *, with_event: bool = False) -> list[Parent]:
    """Give children of neighbours, of the oldest object, and of one object the same ids; return those objects."""
    field, (first, second, *others) = CHILDREN[collection], parents(sandbox, collection)
    far, twice = others[-1], others[1]
    name = first[field]["data"][0]["id"]
    for parent in (second, far):
        rename(sandbox, parent, field, {0: name}, with_event=with_event)
    rename(sandbox, twice, field, {0: name, 1: name}, with_event=with_event)
    return [first, second, far, twice]


def rename(sandbox: SandboxServer, parent: Parent, field: str, names: dict[int, str], *, with_event: bool) -> None:
    children = [{**child, "id": names.get(at, child["id"])} for at, child in enumerate(parent[field]["data"])]
    sandbox.state.patch(ID, parent["id"], {field: {**parent[field], "data": children}}, with_event=with_event)


def verified(database: Database, keyring: Keyring, source: Source, *, repair: bool = False) -> VerificationReport:
    job = VerificationJob(database, keyring, source, tuple(Entity), SyncProgress(tuple(Entity)))
    return verify_and_repair(job) if repair else verify(job)


def test_a_process_loads_them_all_and_again(
    sandbox: SandboxServer, source: Source, database: Database, home: Path
) -> None:
    for collection in CHILDREN:
        share_ids(sandbox, collection)
    for _ in range(2):
        process = start_sync(source, home)
        process.join(DEADLINE)
        assert process.exitcode == 0
        assert list_sessions(database, source.workspace_id)[0].status is SessionStatus.COMPLETED
        assert_tables_equal_truth(database, source, sandbox.state, ID)


def test_events_bring_them_too(sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database) -> None:
    assert sync_now(source).status is SessionStatus.COMPLETED
    for collection in CHILDREN:
        share_ids(sandbox, collection, with_event=True)
    outcome = sync_now(source, only_changes=True)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    assert_tables_equal_truth(database, source, sandbox.state, ID)


def test_what_happens_to_one_parent_s_child_leaves_the_others_alone(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    first, second, far, twice = share_ids(sandbox, "invoices")
    assert sync_now(source).status is SessionStatus.COMPLETED
    kept = second["lines"]["data"][1:]
    sandbox.state.patch(ID, second["id"], {"lines": {**second["lines"], "data": kept}})
    sandbox.state.patch(ID, far["id"], {"description": "Its lines are as they were"})
    # The second of the two goes; and another line comes before the first, which keeps its name.
    added = {**first["lines"]["data"][1], "id": "il_added"}
    (one, _other, *rest) = twice["lines"]["data"]
    renamed = {**one, "id": first["lines"]["data"][0]["id"]}
    sandbox.state.patch(ID, twice["id"], {"lines": {**twice["lines"], "data": [added, renamed, *rest]}})
    sandbox.state.delete(ID, first["id"])
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    assert sync_now(source, full_sync=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)


def test_verify_tells_them_apart_and_mends_each(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    first, second, _far, twice = share_ids(sandbox, "invoices")
    assert sync_now(source).status is SessionStatus.COMPLETED
    assert verified(database, keyring, source).agrees
    name = first["lines"]["data"][0]["id"]
    with database.control() as connection:

        def damage(change: str, parent: Parent, occurrence: int) -> None:
            of_line = "workspace_id = :workspace AND invoice_id = :parent AND id = :id AND occurrence = :occurrence"
            parameters = {"workspace": source.workspace_id, "parent": parent["id"], "id": name}
            done = connection.execute(text(f"{change} WHERE {of_line}"), parameters | {"occurrence": occurrence})
            assert done.rowcount == 1

        damage("DELETE FROM payments.invoice_line_items", first, 0)
        damage("UPDATE payments.invoice_line_items SET content_hash = '\\x00'", second, 0)
        damage("UPDATE payments.invoice_line_items SET occurrence = 7", twice, 1)
    report = verified(database, keyring, source)
    (lines,) = [table for each in report.entities for table in each.tables if table.table == "invoice_line_items"]
    assert (lines.missing.count, lines.stale.count, lines.surplus.count) == (2, 1, 1)
    assert lines.checked == len(read_live_rows(database, source, "invoice_line_items")) + 1
    mended = verified(database, keyring, source, repair=True)
    assert mended.agrees
    assert_tables_equal_truth(database, source, sandbox.state, ID)
