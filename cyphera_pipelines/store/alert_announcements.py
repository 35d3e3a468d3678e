"""Which channel is still to be told of which alert, or of which alert's end; and that it is being told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, text, update

from cyphera_pipelines.model.alert_channels import MessageKind
from cyphera_pipelines.model.alerts import Alert, alert_of
from cyphera_pipelines.store.alerts import IS_PAUSED
from cyphera_pipelines.store.tables import alert_announcements as announcements
from cyphera_pipelines.store.tables import alert_deliveries as deliveries


@dataclass(frozen=True)
class Audience:
    """A channel, one provider, and one cause: what is told together. `workspace_id` is the channel's."""

    channel_id: UUID
    workspace_id: UUID | None
    provider: str
    cause: str


@dataclass
class Standing:
    """What the audience knows already, of alerts that are open.

    `one_by_one` are those that it was told of one by one, with their sources; `digests` has how many are open of those
    that each of its digests told of.
    """

    one_by_one: dict[UUID, str] = field(default_factory=dict)
    digests: dict[UUID, int] = field(default_factory=dict)


@dataclass(frozen=True)
class NewDelivery:
    """A message to a channel, about so many sources; `alert_id` is the alert that it is about, if that is one."""

    id: UUID
    audience: Audience
    kind: MessageKind
    message: dict[str, Any]
    sources: int
    alert_id: UUID | None = None


def list_untold(connection: Connection) -> dict[Audience, list[Alert]]:
    """Open alerts that a channel which is alive, and is to be told of them, was not told of; oldest first."""
    found: dict[Audience, list[Alert]] = {}
    for row in connection.execute(_UNTOLD).mappings():
        found.setdefault(_audience(row), []).append(alert_of(row))
    return found


def read_standing(connection: Connection, channels: Sequence[UUID]) -> dict[Audience, Standing]:
    """What these channels know already."""
    found: dict[Audience, Standing] = {}
    for row in connection.execute(_STANDING, {"channels": list(channels)}).mappings():
        standing = found.setdefault(_audience(row), Standing())
        if row["kind"] == MessageKind.DIGEST.value:
            standing.digests[row["told_by"]] = len(row["alerts"])
        else:
            standing.one_by_one |= dict(zip(row["alerts"], row["sources"], strict=True))
    return found


@dataclass(frozen=True)
class Ended:
    """Alerts that one delivery told of, all of which have ended. `was_given_up`: nobody got that delivery."""

    audience: Audience
    told_by: UUID
    kind: MessageKind
    was_given_up: bool
    alerts: list[Alert]


def list_ended(connection: Connection) -> list[Ended]:
    """What channels that are alive are to be told the end of."""
    found: dict[tuple[UUID, UUID], Ended] = {}
    for row in connection.execute(_ENDED).mappings():
        ended = Ended(
            _audience(row), row["told_by"], MessageKind(row["kind"]), row["given_up_at"] is not None, alerts=[]
        )
        found.setdefault((ended.audience.channel_id, ended.told_by), ended).alerts.append(alert_of(row))
    return list(found.values())


def keep_deliveries(connection: Connection, made: Sequence[NewDelivery]) -> None:
    """Keep messages that are to be sent, in this order."""
    rows = [
        {
            "id": each.id,
            "channel_id": each.audience.channel_id,
            "workspace_id": each.audience.workspace_id,
            "alert_id": each.alert_id,
            "kind": each.kind.value,
            "sources": each.sources,
            "provider_name": each.audience.provider,
            "cause": each.audience.cause,
            "message": each.message,
        }
        for each in made
    ]
    if rows:
        connection.execute(insert(deliveries), rows)


def note_told(connection: Connection, audience: Audience, told_by: UUID, alerts: Sequence[UUID]) -> None:
    """Note that this delivery tells the channel of these alerts."""
    rows = [
        {
            "alert_id": alert,
            "channel_id": audience.channel_id,
            "workspace_id": audience.workspace_id,
            "told_by": told_by,
        }
        for alert in alerts
    ]
    if rows:
        connection.execute(insert(announcements), rows)


def let_digest_tell(connection: Connection, audience: Audience, digest: UUID, alerts: Sequence[UUID]) -> None:
    """Let a digest stand for alerts that were told one by one before: it tells of their end too."""
    mine = announcements.c.channel_id == audience.channel_id
    connection.execute(update(announcements).where(mine, announcements.c.alert_id.in_(alerts)).values(told_by=digest))


def note_cleared(connection: Connection, ended: Ended) -> None:
    """Note that the channel knows of the end of these alerts."""
    connection.execute(_CLEAR, {"channel": ended.audience.channel_id, "told_by": ended.told_by})


def forget_orphans(connection: Connection) -> None:
    """Forget what the deployment's channels were, or were to be, told of alerts that are gone with their workspace."""
    connection.execute(_FORGET_ORPHANS)
    connection.execute(_GIVE_ORPHANS_UP)


def _audience(row: Any) -> Audience:
    return Audience(row["channel_id"], row["channel_workspace_id"], row["provider_name"], row["cause"])


_ALERT = f"""
    alert.*, workspaces.slug AS workspace_slug, channel.id AS channel_id, channel.workspace_id AS channel_workspace_id,
    {IS_PAUSED}
"""
_IS_ALIVE = "channel.removed_at IS NULL AND channel.dead_at IS NULL"
_IS_FOR = f"""
    {_IS_ALIVE} AND (channel.causes IS NULL OR alert.cause = ANY (channel.causes))
    AND NOT EXISTS (
        SELECT FROM sync.alert_announcements AS told WHERE told.alert_id = alert.id AND told.channel_id = channel.id
    )
"""
_IS_OPEN = "alert.ended_at IS NULL AND alert.recovered_at IS NULL"
_UNTOLD = text(
    f"""
    SELECT {_ALERT}
    FROM sync.alerts AS alert
    JOIN sync.workspaces ON workspaces.id = alert.workspace_id
    JOIN sync.alert_channels AS channel ON channel.workspace_id IS NULL
        AND (channel.only_workspaces IS NULL OR alert.workspace_id = ANY (channel.only_workspaces))
    WHERE {_IS_OPEN} AND alert.raised_at IS NOT NULL AND {_IS_FOR}
    UNION ALL
    SELECT {_ALERT}
    FROM sync.alerts AS alert
    JOIN sync.workspaces ON workspaces.id = alert.workspace_id
    JOIN sync.alert_channels AS channel ON channel.workspace_id = alert.workspace_id
    WHERE {_IS_OPEN} AND alert.raised_for_workspace_at IS NOT NULL AND {_IS_FOR}
    ORDER BY began_at, id
    """
)
_STANDING = text(
    """
    SELECT told.channel_id, channel.workspace_id AS channel_workspace_id, alert.provider_name, alert.cause,
        delivery.kind, CASE delivery.kind WHEN 'digest' THEN told.told_by END AS told_by,
        array_agg(alert.id) AS alerts, array_agg(workspaces.slug || ':' || alert.provider_name) AS sources
    FROM sync.alert_announcements AS told
    JOIN sync.alerts AS alert ON alert.id = told.alert_id
    JOIN sync.workspaces ON workspaces.id = alert.workspace_id
    JOIN sync.alert_deliveries AS delivery ON delivery.id = told.told_by
    JOIN sync.alert_channels AS channel ON channel.id = told.channel_id
    WHERE told.channel_id = ANY (:channels) AND told.cleared_at IS NULL
    AND alert.ended_at IS NULL AND alert.recovered_at IS NULL
    GROUP BY 1, 2, 3, 4, 5, 6
    """
)
# What is unfinished is looked up once for all: asked for each of ten thousand that one digest told of, it took minutes.
_ENDED = text(
    f"""
    WITH unfinished AS MATERIALIZED (
        SELECT DISTINCT told.told_by
        FROM sync.alert_announcements AS told
        JOIN sync.alerts AS alert ON alert.id = told.alert_id AND alert.ended_at IS NULL
        WHERE told.cleared_at IS NULL
    )
    SELECT {_ALERT}, told.told_by, delivery.kind, delivery.given_up_at
    FROM sync.alert_announcements AS told
    JOIN sync.alerts AS alert ON alert.id = told.alert_id AND alert.ended_at IS NOT NULL
    JOIN sync.workspaces ON workspaces.id = alert.workspace_id
    JOIN sync.alert_deliveries AS delivery ON delivery.id = told.told_by
    JOIN sync.alert_channels AS channel ON channel.id = told.channel_id AND {_IS_ALIVE}
    LEFT JOIN unfinished ON unfinished.told_by = told.told_by
    WHERE told.cleared_at IS NULL AND unfinished.told_by IS NULL
    ORDER BY alert.ended_at, alert.id
    """
)
_CLEAR = text(
    """
    UPDATE sync.alert_announcements SET cleared_at = now()
    WHERE channel_id = :channel AND told_by = :told_by AND cleared_at IS NULL
    """
)
_FORGET_ORPHANS = text(
    """
    DELETE FROM sync.alert_announcements AS told WHERE workspace_id IS NULL
    AND NOT EXISTS (SELECT FROM sync.alerts WHERE alerts.id = told.alert_id)
    """
)
_GIVE_ORPHANS_UP = text(
    """
    UPDATE sync.alert_deliveries AS delivery
    SET given_up_at = now(), message = '{}', last_error = 'The source that it was about was purged.'
    WHERE workspace_id IS NULL AND delivered_at IS NULL AND given_up_at IS NULL AND alert_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM sync.alerts WHERE alerts.id = delivery.alert_id)
    """
)
