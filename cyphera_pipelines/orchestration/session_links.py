"""Where a session is told of, for people who look at its run."""

from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.settings import load_settings


def session_metadata(session: Session) -> dict[str, str]:
    """The session's id, its address at the HTTP API, which asks for a key of its workspace, and its page if known."""
    settings = load_settings()
    found = {
        "session_id": str(session.id),
        "session": f"{settings.api_url}/api/v1/sync/sessions/{session.id}",
    }
    return found if settings.ops_url is None else {**found, "page": f"{settings.ops_url}/ops/sessions/{session.id}"}
