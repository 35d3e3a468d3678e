"""How much a source's last syncs asked of its provider, and how long that made them wait."""

from dataclasses import dataclass

from sqlalchemy import text

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database

SESSIONS_COUNTED = 20


@dataclass(frozen=True)
class RequestCounts:
    """Of the last sessions together.

    `rate_limited` are requests that the provider put off, as it limits their rate (429). `seconds_waited` are those of
    all of them added up: requests that wait at the same time count each; None where no session that is counted noted
    them.
    """

    sessions: int
    requests: int
    repeated: int
    rate_limited: int
    seconds_waited: float | None


def count_requests(database: Database, source: Source) -> RequestCounts:
    """The counts of the source's last `SESSIONS_COUNTED` sessions that began. One statement."""
    values = {"workspace_id": source.workspace_id, "provider": source.provider, "most": SESSIONS_COUNTED}
    with database.tenant(source.workspace_id) as connection:
        row = connection.execute(_COUNT, values).one()
    seconds = None if row.seconds is None else float(row.seconds)
    return RequestCounts(row.sessions, row.requests, row.repeated, row.rate_limited, seconds)


_COUNT = text(
    """
    WITH newest AS (
        SELECT id, progress FROM sync.payment_sync_sessions
        WHERE workspace_id = :workspace_id AND provider_name = :provider AND started_at IS NOT NULL
        ORDER BY created_at DESC LIMIT :most
    ),
    waits AS (
        SELECT sum((event_details->>'count')::bigint) AS count, sum((event_details->>'seconds')::numeric) AS seconds
        FROM sync.payment_sync_events
        WHERE session_id IN (SELECT id FROM newest) AND event_type = 'requests_repeated'
          AND event_details->>'kind' = 'rate_limited'
    )
    SELECT count(*) AS sessions, coalesce(sum((progress->>'requests')::bigint), 0)::bigint AS requests,
        coalesce(sum((progress->>'retries')::bigint), 0)::bigint AS repeated,
        coalesce((SELECT count FROM waits), 0)::bigint AS rate_limited, (SELECT seconds FROM waits) AS seconds
    FROM newest
    """
)
