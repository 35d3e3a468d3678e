from collections.abc import Callable

import pytest

from cyphera_pipelines.model.sessions import SessionEvent, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.secrets import register_secret, secrets_of_one_request
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events, record_events
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
