"""What alerts and their channels are at, in numbers."""

from dataclasses import dataclass, field

from sqlalchemy import text

from cyphera_pipelines.store.database import Database


@dataclass(frozen=True)
class AlertActivity:
    """The present, and the last hour.

    `open` are open alerts by cause, as the deployment's rules have it. `channels` are those of everybody by whether
    they take what is sent: untried, works, failing, dead. `oldest_waiting` is for how many seconds the oldest message
    has waited that a channel is still to get; 0 where none does.
    """

    open: dict[str, int] = field(default_factory=dict)
    channels: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    oldest_waiting: float = 0.0
    delivered: int = 0
    given_up: int = 0


def read_alert_activity(database: Database) -> AlertActivity:
    """Count it."""
    with database.control() as connection:
        of_causes = {row.cause: row.alerts for row in connection.execute(_OPEN)}
        channels = {row.state: row.channels for row in connection.execute(_CHANNELS)}
        row = connection.execute(_DELIVERIES).one()
    return AlertActivity(
        open=of_causes,
        channels=channels,
        waiting=row.waiting,
        oldest_waiting=float(row.oldest or 0.0),
        delivered=row.delivered,
        given_up=row.given_up,
    )


_OPEN = text(
    "SELECT cause, count(*) AS alerts FROM sync.alerts WHERE ended_at IS NULL AND raised_at IS NOT NULL GROUP BY 1"
)
_CHANNELS = text(
    """
    SELECT CASE WHEN dead_at IS NOT NULL THEN 'dead' WHEN failures > 0 THEN 'failing'
        WHEN delivered_at IS NULL THEN 'untried' ELSE 'works' END AS state, count(*) AS channels
    FROM sync.alert_channels WHERE removed_at IS NULL GROUP BY 1
    """
)
# What is given up is at most a day and a bit old.
_DELIVERIES = text(
    """
    WITH waits AS (
        SELECT delivery.created_at FROM sync.alert_deliveries AS delivery
        JOIN sync.alert_channels AS channel ON channel.id = delivery.channel_id AND channel.removed_at IS NULL
        WHERE delivery.delivered_at IS NULL AND delivery.given_up_at IS NULL
    ), lately AS (
        SELECT delivered_at, given_up_at FROM sync.alert_deliveries WHERE created_at > now() - interval '3 days'
    )
    SELECT (SELECT count(*) FROM waits) AS waiting,
        (SELECT extract(epoch FROM now() - min(created_at))::float8 FROM waits) AS oldest,
        (SELECT count(*) FROM lately WHERE delivered_at > now() - interval '1 hour') AS delivered,
        (SELECT count(*) FROM lately WHERE given_up_at > now() - interval '1 hour') AS given_up
    """
)
