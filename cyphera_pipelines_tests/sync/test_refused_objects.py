"""Objects that no row can be made of, or only after cleaning: each is named, and the rest goes on."""

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
from cyphera_pipelines.store.events import RecordedEvent, list_events
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.verification.verify import VerificationJob, verify
from cyphera_pipelines_tests.sync.sync_process import start_sync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

ID = "acct_refused_objects"
ACCOUNT = SandboxAccount(
    api_key="sk_test_refused_objects",
    account_id=ID,
    seed=9,
    customers=35,
    products=12,
    prices=20,
    subscriptions=25,
    invoices=40,
)
DEADLINE = 120.0
TOO_LONG = "x" * 3_000
JUST_FITS = "cus_" + "é" * 251


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, add_source: Callable[..., Source]) -> Source:
    return add_source(ACCOUNT.api_key, sandbox.url)


def nested(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = {"deeper": value}
    return value


def make_odd(sandbox: SandboxServer, *, with_event: bool) -> dict[str, str]:
    """Change objects in odd ways. Returns the ids of those that cannot be loaded, with what has to be said of each."""
    objects = {
        name: list(sandbox.state.truth(ID, name)) for name in ("customers", "products", "subscriptions", "invoices")
    }
    customers, products, invoices = objects["customers"], objects["products"], objects["invoices"]

    def patch(obj: dict[str, Any], **patch: Any) -> None:
        sandbox.state.patch(ID, obj["id"], patch, with_event=with_event)

    patch(customers[3], id=JUST_FITS)
    patch(customers[4], id="cus_nul\x00inside")
    patch(customers[5], id="cus_half\ud83dinside")
    patch(customers[6], id=TOO_LONG)
    patch(customers[7], id="\x00")
    patch(products[2], metadata=nested(300))
    patch(products[3], created=10**14)
    patch(products[4], metadata={"key\x00": "\ud800", "number": 10**30})
    lines = invoices[5]["lines"]
    patch(invoices[5], lines={**lines, "data": [{**line, "id": TOO_LONG} for line in lines["data"]]})
    lines = invoices[6]["lines"]
    patch(invoices[6], lines={**lines, "data": [{**line, "id": "il_\x00\udc00"} for line in lines["data"]]})
    items = objects["subscriptions"][5]["items"]
    patch(objects["subscriptions"][5], items={**items, "data": [{**item, "id": "\x00"} for item in items["data"]]})
    no_id = "`id` holds characters that no id has, or more than 255"
    return {
        "cus_nul\x00inside": no_id,
        "cus_half\ud83dinside": no_id,
        TOO_LONG: no_id,
        "\x00": no_id,
        products[2]["id"]: "",
        products[3]["id"]: "`created` should be a moment",
        invoices[5]["id"]: no_id,
        objects["subscriptions"][5]["id"]: "`id` is missing",
    }


def expect_each_named(
    database: Database, source: Source, unloaded: dict[str, str], *, counted: str
) -> list[RecordedEvent]:
    """The newest session counted them and named each. Returns all that it told."""
    session = list_sessions(database, source.workspace_id)[0]
    assert session.status is SessionStatus.PARTIAL
    assert session.error_summary is not None
    assert f"Objects that could not be loaded: {counted}" in session.error_summary["message"]
    told = list_events(database, source.workspace_id, session.id, limit=1_000)
    named = [event for event in told if event.event_type == "row_unmappable"]
    assert len(named) == len(unloaded)
    for object_id, reason in unloaded.items():
        assert [event for event in named if is_of(event, object_id) and reason in event.event_message], object_id
    return told


def is_of(event: RecordedEvent, object_id: str) -> bool:
    shown = object_id.replace("\x00", "").replace("\ud83d", "\ufffd")
    return (event.external_id or "").removesuffix("...") == shown[:255]


def test_a_process_loads_all_others_and_names_these_each_time(
    sandbox: SandboxServer, source: Source, database: Database, keyring: Keyring, home: Path
) -> None:
    unloaded = make_odd(sandbox, with_event=False)
    for _ in range(2):
        process = start_sync(source, home, full_sync=True)
        process.join(DEADLINE)
        assert process.exitcode == 0
        counted = "4 of customers, 2 of products, 1 of subscriptions, 1 of invoices"
        expect_each_named(database, source, unloaded, counted=counted)
        assert_tables_equal_truth(database, source, sandbox.state, ID, without=unloaded)
    report = verify(VerificationJob(database, keyring, source, tuple(Entity), SyncProgress(tuple(Entity))))
    assert sum(entity.unmappable.count for entity in report.entities) == len(unloaded)
    assert all(table.agrees for entity in report.entities for table in entity.tables)


def test_events_that_bring_them_are_taken_the_same_way(
    sandbox: SandboxServer, source: Source, database: Database, home: Path
) -> None:
    start_sync(source, home).join(DEADLINE)
    before = {name: [obj["id"] for obj in sandbox.state.truth(ID, name)] for name in ("customers", "products")}
    unloaded = make_odd(sandbox, with_event=True)
    process = start_sync(source, home, only_changes=True)
    process.join(DEADLINE)
    assert process.exitcode == 0
    # An event about an object without a usable id tells no object to ask for: it is named by its own id.
    of_objects = {name: reason for name, reason in unloaded.items() if not name.startswith(("cus_", "x", "\x00"))}
    counted = "2 of products, 1 of subscriptions, 1 of invoices"
    told = expect_each_named(database, source, of_objects, counted=counted)
    unreadable = [event for event in told if event.event_type == "provider_events_unreadable"]
    assert [event.event_message[:40] for event in unreadable] == ["4 provider events could not be read, and"]
    process = start_sync(source, home, only_changes=True)
    process.join(DEADLINE)
    assert process.exitcode == 0
    assert list_sessions(database, source.workspace_id)[0].status is not SessionStatus.FAILED
    # Those whose id changed are there under their former one too, until the next listing; and what could not be loaded
    # is there as it was.
    left = [*before["customers"][3:8], *before["products"][2:4]]
    with database.control() as connection:
        for name, ids in (("customers", left[:5]), ("products", left[5:])):
            where = "workspace_id = :workspace AND id = ANY (:ids)"
            forget = text(f"DELETE FROM payments.{name} WHERE {where}")
            connection.execute(forget, {"workspace": source.workspace_id, "ids": ids})
    assert_tables_equal_truth(database, source, sandbox.state, ID, entities=("customers", "products"), without=unloaded)
