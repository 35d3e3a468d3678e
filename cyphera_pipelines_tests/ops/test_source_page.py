"""A source's page: what it shows, and at what cost."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.registry import PROVIDERS
from cyphera_pipelines.store import source_tables
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.pauses import pause_source, resume_source
from cyphera_pipelines.store.source_tables import read_tables
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.api.conftest import RunningApi
from cyphera_pipelines_tests.ops.conftest import Browser, OpenBrowser, text_of
from cyphera_pipelines_tests.ops.given import AddSource, address_of, failed_session, running_session


@pytest.fixture
def source(add_source: AddSource) -> Source:
    return add_source("sk_test_page_of_a_source")


def test_a_new_source_says_what_is_not_there_yet(operator: Browser, source: Source) -> None:
    page = text_of(operator.read(address_of(source)))
    assert source.key in page
    assert "Never synced to its end" in page
    assert "None yet. A check that finds nothing new makes none." in page
    assert "Never compared with the provider row by row." in page
    assert "None, as far as the audit trail goes back." in page
    assert "Not available" in page


def test_it_says_that_a_sync_is_at_work(operator: Browser, source: Source, database: Database) -> None:
    badge = '<span class="badge syncing">syncing</span>'
    assert badge not in operator.read(address_of(source))
    running_session(database, source)
    assert badge in operator.read(address_of(source))


def test_it_leads_to_its_sessions_and_through_all_of_them(
    operator: Browser, source: Source, database: Database
) -> None:
    made = [failed_session(database, source, f"reason {number}") for number in range(23)]
    seen: list[str] = []
    path = address_of(source)
    while True:
        page = operator.read(path).split('<h2 id="sessions">')[1].split("</section>")[0]
        seen += [str(each.id) for each in made if f"/ops/sessions/{each.id}" in page]
        if "Earlier sessions" not in page:
            break
        path = page.split('">Earlier sessions')[0].rsplit('href="/ops', 1)[1].split("#")[0]
    assert sorted(seen) == sorted(str(each.id) for each in made)
    assert operator.get(f"/ops{address_of(source)}?before=nonsense").status_code == 422


def test_it_is_shown_though_its_provider_is_not_installed_any_more(
    operator: Browser, source: Source, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = failed_session(database, source, "before the package was removed")
    monkeypatch.delitem(PROVIDERS, source.provider)
    assert f"/ops/sessions/{session.id}" in operator.read(address_of(source))


def test_pauses_are_told_with_who_made_them(operator: Browser, source: Source, database: Database) -> None:
    assert "not while it is paused" not in text_of(operator.read(address_of(source)))
    pause_source(database, source, "moving to another account")
    assert text_of(operator.read(address_of(source))).count("not while it is paused") == 2
    page = text_of(operator.read(address_of(source)))
    assert "moving to another account" in page
    assert "Resume…" in page
    resume_source(database, source)
    page = text_of(operator.read(address_of(source)))
    assert "resumed by no person" in page
    assert "Pause…" in page


def test_many_rows_are_estimated_and_few_are_counted(
    source: Source, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_customers(database, source, 60)
    customers = next(table for table in read_tables(database, source) if table.name == "customers")
    assert (customers.rows, customers.is_estimate) == (60, False)
    monkeypatch.setattr(source_tables, "COUNTED_TO", 20)
    customers = next(table for table in read_tables(database, source) if table.name == "customers")
    assert customers.is_estimate
    assert customers.rows >= 20


def test_the_last_change_of_a_table_names_its_session(source: Source, database: Database, operator: Browser) -> None:
    changing = running_session(database, source)
    tables = {table.name: table.changed_by for table in read_tables(database, source)}
    assert tables["customers"] == changing.id
    assert tables["invoices"] is None
    page = text_of(operator.read(address_of(source)))
    assert "Last change by a sync or webhook" in page
    assert "What was written through the API is in the tables too, and when is not told here." in page


def test_the_statements_do_not_grow_with_what_there_is(
    operator: Browser, source: Source, database: Database, api: RunningApi, add_source: AddSource
) -> None:
    operator.read(address_of(source))
    with counted(api.app.state.services.database) as few:
        operator.read(address_of(source))
    for number in range(30):
        failed_session(database, source, f"reason {number}")
        add_source(f"sk_test_another_source_{number}")
    _write_customers(database, source, 500)
    with counted(api.app.state.services.database) as many:
        operator.read(address_of(source))
    assert len(many) == len(few)
    assert len(few) <= 32, "\n".join(few)


def test_another_workspaces_page_is_no_page(
    open_browser: OpenBrowser, source: Source, add_source: AddSource, database: Database
) -> None:
    other = add_source("sk_test_of_another_workspace")
    session = running_session(database, source)
    stranger = open_browser(find_workspace(database, other.workspace_slug))
    unknown = UUID(int=7)
    pairs = [
        (address_of(source, action), f"/sources/nobody/stripe/{action}".rstrip("/"))
        for action in ("", "sync", "pause", "resume", "verify", "repair", "replay")
    ]
    pairs += [
        (f"/sessions/{session.id}{rest}", f"/sessions/{unknown}{rest}") for rest in ("", "/cancel", "/retry", "/live")
    ]
    for theirs, nobodys in pairs:
        assert _answer(stranger, theirs) == _answer(stranger, nobodys), theirs
        assert _answer(stranger, theirs)[0] == 404, theirs


def _answer(browser: Browser, path: str) -> tuple[int, str]:
    answer = browser.get(f"/ops{path}")
    return answer.status_code, text_of(answer.text)


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that are executed on the database's connections meanwhile."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def _write_customers(database: Database, source: Source, count: int) -> None:
    with database.control() as connection:
        connection.execute(
            text(
                "INSERT INTO payments.customers (workspace_id, provider, livemode, id, created, content_hash, "
                "source_version) SELECT :workspace, :provider, false, 'cus_' || number, now(), '\\x00', now() "
                "FROM generate_series(1, :count) AS number"
            ),
            {"workspace": source.workspace_id, "provider": source.provider, "count": count},
        )
        connection.execute(text("ANALYZE payments.customers"))
