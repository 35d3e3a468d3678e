import json
from collections.abc import Callable
from typing import Any

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.model.sessions import SessionEvent, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.secrets import register_secret, secrets_of_one_request
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events, record_events
from cyphera_pipelines.store.kept_objects import MOST_CHARACTERS
from cyphera_pipelines.sync.mapped_events import mapping_events
from cyphera_pipelines.sync.request import open_session


@pytest.mark.parametrize("secret", ['"level"', '": "info', 'with"quote', "with\\backslash"])
def test_an_event_is_written_whatever_the_secrets_are(
    secret: str, database: Database, add_source: Callable[..., Source]
) -> None:
    session = open_session(database, add_source("sk_test_events"), SyncRequest())
    details = {"said": f"about {secret}", "raw": {"list": [secret, 10**30, float("nan")]}}
    with secrets_of_one_request():
        register_secret(secret)
        record_events(database, session, [SessionEvent("noted", f"It says {secret}.", event_details=details)])
    (event,) = list_events(database, session.workspace_id, session.id)
    assert event.event_message == "It says ***."
    assert event.event_details == {"level": "info", "said": "about ***", "raw": {"list": ["***", 10**30, "NaN"]}}


def _nested(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = {"deeper": [value]}
    return value


@pytest.mark.parametrize(
    ("raw", "left_out"),
    [
        ({"id": "a\x00b", "\ud800": ["\udfff", None]}, None),
        ({"id": "x" * 150_000}, "all but the first 100,000"),
        ({"id": "x", "metadata": _nested(450)}, "nested deeper than 60 levels"),
        ([[]] * 60_000, "all but the first 100,000"),
        (b"\xff not even a text", None),
        ({"amount": float("inf"), "huge": 10**400}, None),
        (None, None),
    ],
)
def test_what_could_not_be_loaded_is_kept_whatever_it_is(
    raw: Any, left_out: str | None, database: Database, add_source: Callable[..., Source]
) -> None:
    session = open_session(database, add_source("sk_test_events"), SyncRequest())
    odd = UnmappableObject("\ud800" + "i" * 5_000 + "\x00", "reason " * 1_000, raw)
    record_events(database, session, mapping_events(Entity.INVOICES, (), [odd], [odd], ()))
    unmappable, incomplete = list_events(database, session.workspace_id, session.id)
    if unmappable.event_type != "row_unmappable":
        unmappable, incomplete = incomplete, unmappable
    assert incomplete.event_type == "object_incomplete"
    assert len(unmappable.event_message) < 1_000
    assert unmappable.external_id is not None
    assert len(unmappable.external_id) < 300
    if left_out is None:
        assert unmappable.event_message.endswith("It is kept here as it was received.")
        assert unmappable.event_details["left_out"] is None
    else:
        assert left_out in unmappable.event_details["left_out"]
        assert unmappable.event_message.endswith(f"It is kept here but for {unmappable.event_details['left_out']}.")
    assert len(json.dumps(unmappable.event_details)) < 120_000


def test_no_half_of_a_secret_is_kept(database: Database, add_source: Callable[..., Source]) -> None:
    session = open_session(database, add_source("sk_test_events"), SyncRequest())
    secret = "a-secret-that-nothing-else-looks-like"
    with secrets_of_one_request():
        register_secret(secret)
        # Where the text is cut, a secret begins.
        raw = {"id": "x" * (MOST_CHARACTERS - len('{"id": "') - 10) + secret + "x" * 100}
        odd = UnmappableObject("i", "odd", raw)
        record_events(database, session, mapping_events(Entity.INVOICES, (), [odd], (), ()))
    (event,) = list_events(database, session.workspace_id, session.id)
    assert event.event_details["left_out"] is not None
    assert "a-secret" not in event.event_details["raw"]
