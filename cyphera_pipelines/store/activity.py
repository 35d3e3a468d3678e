"""What syncs are doing and did lately, over all workspaces, in numbers: for an operator's metrics."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from cyphera_pipelines.store.database import Database

WINDOW_MINUTES = 60
MOST_SESSIONS = 20_000
"""Of more sessions than this within the window only the newest are counted: a scrape must stay cheap."""
LAG_BUCKETS = (60, 300, 900, 3_600, 21_600, 86_400, 604_800)
"""Upper bounds of the lag histogram, in seconds."""

_UNFINISHED = text(
    "SELECT status, count(*) AS sessions FROM sync.payment_sync_sessions "
    "WHERE status IN ('pending', 'running') GROUP BY status"
)
_OLDEST_PENDING = text(
    "SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM sync.payment_sync_sessions "
    "WHERE status = 'pending'"
)


def _number(value: str, name: str) -> str:
    """A number in a JSON object; NULL where something else stands there, lest one odd row hide all the others."""
    return f"(CASE jsonb_typeof({value}->'{name}') WHEN 'number' THEN ({value}->>'{name}')::numeric END)"


_COUNTS = ("created", "updated", "unchanged", "deleted", "failed")
_ENDED = text(
    """
    WITH ended AS (
        SELECT id, status, progress FROM sync.payment_sync_sessions
        WHERE completed_at > now() - make_interval(mins => :minutes) ORDER BY completed_at DESC LIMIT :most
    ), counts AS (
        SELECT {counts}
        FROM ended, jsonb_each(CASE jsonb_typeof(ended.progress->'entities') WHEN 'object'
            THEN ended.progress->'entities' ELSE '{{}}' END) AS entity
    )
    SELECT (SELECT jsonb_object_agg(status, sessions)
               FROM (SELECT status, count(*) AS sessions FROM ended GROUP BY 1) AS by_status) AS statuses,
           (SELECT to_jsonb(counts) FROM counts) AS rows,
           (SELECT sum({requests}) FROM ended) AS requests,
           (SELECT sum({retries}) FROM ended) AS retries,
           (SELECT sum({repeated}) FROM ended JOIN sync.payment_sync_events AS event
               ON event.session_id = ended.id AND event.event_type = 'requests_repeated'
               AND event.event_details->>'kind' = 'rate_limited') AS rate_limited
    """.format(
        counts=", ".join(f"sum({_number('entity.value', name)}) AS {name}" for name in _COUNTS),
        requests=_number("progress", "requests"),
        retries=_number("progress", "retries"),
        repeated=_number("event_details", "count"),
    )
)
_LAG = """
    SELECT id, extract(epoch FROM now() - coalesce(last_sync_at, created_at))::float8 AS lag
    FROM sync.workspace_payment_configurations WHERE is_active AND deleted_at IS NULL
"""
_LAGS = text(
    f"SELECT width_bucket(lag, CAST(:bounds AS float8[])) AS bucket, count(*) AS sources, sum(lag) AS seconds "
    f"FROM ({_LAG}) AS lags GROUP BY 1"
)
_STALEST = text(f"{_LAG} ORDER BY coalesce(last_sync_at, created_at) LIMIT :most")


@dataclass(frozen=True)
class Activity:
    """The present, and the last hour of ended sessions.

    `lag_counts` has one count per bucket of `LAG_BUCKETS`, and one more for what is beyond them. A source that never
    completed a sync lags since it was made. `stalest` maps configuration ids to seconds. `oldest_pending` is how many
    seconds the oldest pending session has been waiting; 0 where none does.
    """

    unfinished: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    lag_counts: tuple[int, ...] = ()
    lag_sum: float = 0.0
    stalest: dict[UUID, float] = field(default_factory=dict)
    oldest_pending: float = 0.0


def read_activity(database: Database, *, stalest: int) -> Activity:
    """Count it. Everything that is read is bounded, or as small as the number of sources."""
    with database.control() as connection:
        unfinished = {row.status: row.sessions for row in connection.execute(_UNFINISHED)}
        ended = connection.execute(_ENDED, {"minutes": WINDOW_MINUTES, "most": MOST_SESSIONS}).one()
        counts, total = _lags(connection)
        oldest = {row.id: row.lag for row in connection.execute(_STALEST, {"most": stalest})}
        oldest_pending = connection.execute(_OLDEST_PENDING).scalar_one()
    return Activity(
        unfinished=unfinished,
        ended=ended.statuses or {},
        rows={name: int(count or 0) for name, count in ended.rows.items()},
        requests=int(ended.requests or 0),
        retries=int(ended.retries or 0),
        rate_limited=int(ended.rate_limited or 0),
        lag_counts=counts,
        lag_sum=total,
        stalest=oldest,
        oldest_pending=oldest_pending,
    )


def _lags(connection: Connection) -> tuple[tuple[int, ...], float]:
    rows: list[Any] = list(connection.execute(_LAGS, {"bounds": list(LAG_BUCKETS)}))
    by_bucket = {row.bucket: row.sources for row in rows}
    counts = tuple(by_bucket.get(bucket, 0) for bucket in range(len(LAG_BUCKETS) + 1))
    return counts, float(sum(row.seconds for row in rows))
