"""Where a session is told of, for people who look at its run."""

from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.settings import load_settings


def session_metadata(session: Session) -> dict[str, str]:
    """The session's id, and its address at the HTTP API, which asks for a key of its workspace."""
    return {
        "session_id": str(session.id),
        "session": f"{load_settings().api_url}/api/v1/sync/sessions/{session.id}",
    }
