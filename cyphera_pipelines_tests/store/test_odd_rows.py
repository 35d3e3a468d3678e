"""One workspace's odd row is its own affair: whatever lists all of them goes on."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.activity import read_activity
from cyphera_pipelines.store.configurations import get_configuration, page_configurations
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import (
    finish_session,
    list_sessions,
    list_sessions_without_run,
    list_silent_sessions,
)
from cyphera_pipelines.store.sources import find_source, list_sources, list_sources_with_state
from cyphera_pipelines.sync.request import open_session

HUGE = "1" + "0" * 6_000
ODD = {
    "a list": "[]",
    "a string": '"x"',
    "a number": "7",
    "a huge number": HUGE,
    "true": "true",
    "limits as a list": '{"rate_limits": [1, 2]}',
    "limits as a string": '{"rate_limits": "fast"}',
    "limits of one kind": '{"rate_limits": {"account": 5}}',
    "limits that are no numbers": '{"rate_limits": {"account": "fast", "endpoint": {}}}',
    "limits of nothing": '{"rate_limits": {"account": 0, "endpoint": 0}}',
    "negative limits": '{"rate_limits": {"account": -5, "endpoint": 5}}',
    "limits without end": f'{{"rate_limits": {{"account": {HUGE}, "endpoint": 5}}}}',
    "limits that are not a number": '{"rate_limits": {"account": "NaN", "endpoint": "Infinity"}}',
    "something huge beside": f'{{"note": {HUGE}}}',
    "deep": '{"a":' * 3_000 + "1" + "}" * 3_000,
}


@pytest.mark.parametrize("metadata", ODD.values(), ids=ODD)
def test_odd_metadata_breaks_no_list_and_keeps_to_what_is_usual(
    metadata: str, database: Database, add_source: Callable[..., Source]
) -> None:
    odd, other = add_source("sk_test_odd_metadata"), add_source("sk_test_beside_it")
    _write(database, odd, "workspace_payment_configurations", "metadata", metadata)
    assert {odd.key, other.key} <= {source.key for source in list_sources(database)}
    assert {odd.key, other.key} <= {state.key for state in list_sources_with_state(database)}
    found = find_source(database, odd.key)
    assert (found.store_raw, found.rate_limits) == (True, None)
    assert find_source(database, other.key).rate_limits == RateLimits(5_000, 5_000)


@pytest.mark.parametrize("value", ["[]", '"x"', "null", '{"created": "many"}'])
def test_odd_progress_breaks_no_metrics(value: str, database: Database, add_source: Callable[..., Source]) -> None:
    odd, other = add_source("sk_test_odd_progress"), add_source("sk_test_beside_progress")
    counts = {"entities": {"customers": {"created": 3}}, "requests": 2}
    for source, progress in ((odd, {}), (other, counts)):
        finish_session(
            database, open_session(database, source, SyncRequest()), SessionStatus.COMPLETED, progress=progress
        )
    before = read_activity(database, stalest=1).rows
    for text_of in ("{}", '{{"entities": {}}}', '{{"requests": {0}, "entities": {{"customers": {0}}}}}'):
        _write(database, odd, "payment_sync_sessions", "progress", text_of.format(value) if text_of != "{}" else value)
        assert read_activity(database, stalest=1).rows == before


@pytest.mark.parametrize("metadata", ODD.values(), ids=ODD)
def test_a_workspace_with_odd_metadata_still_sees_and_mends_its_own(
    metadata: str, database: Database, add_source: Callable[..., Source]
) -> None:
    odd = add_source("sk_test_own_odd_metadata")
    _write(database, odd, "workspace_payment_configurations", "metadata", metadata)
    assert page_configurations(database, odd.workspace_id, limit=10, offset=0)[1] == 1
    assert get_configuration(database, odd.workspace_id, odd.configuration_id).id == odd.configuration_id


def test_a_session_of_entities_that_we_do_not_know_breaks_no_list(
    database: Database, add_source: Callable[..., Source]
) -> None:
    odd, other = add_source("sk_test_odd_entities"), add_source("sk_test_beside_entities")
    sessions = {open_session(database, source, SyncRequest()).id for source in (odd, other)}
    _write(database, odd, "payment_sync_sessions", "entity_types", "{charges,customers}")
    assert sessions <= {each.id for each in list_sessions(database, limit=1_000)}
    assert sessions <= {each.session.id for each in list_sessions_without_run(database, pending_for=0, limit=1_000)}
    assert isinstance(list_silent_sessions(database, silent_for=0), list)


def _write(database: Database, source: Source, table: str, column: str, value: str) -> None:
    with database.control() as connection:
        kind = "text[]" if column == "entity_types" else "jsonb"
        connection.execute(
            text(f"UPDATE sync.{table} SET {column} = CAST(:value AS {kind}) WHERE workspace_id = :workspace_id"),
            {"value": value, "workspace_id": source.workspace_id},
        )
