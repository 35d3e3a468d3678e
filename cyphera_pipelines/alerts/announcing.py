"""Whom to tell what: one message for one source, or one for all where more than ten have the same cause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from sqlalchemy import Connection

from cyphera_pipelines.alerts.messages import Writer
from cyphera_pipelines.model.alert_channels import MessageKind
from cyphera_pipelines.model.alerts import MOST_IN_WORDS, Alert
from cyphera_pipelines.store.alert_announcements import (
    Audience,
    Ended,
    NewDelivery,
    Standing,
    forget_orphans,
    keep_deliveries,
    let_digest_tell,
    list_ended,
    list_untold,
    note_cleared,
    note_told,
    read_standing,
)


@dataclass(frozen=True)
class Plan:
    """What an audience is told of alerts that it does not know. All of `untold` are in one of the three."""

    one_by_one: tuple[Alert, ...] = ()
    digest: tuple[Alert, ...] = ()
    """These in one new message, which from now on stands for `absorbed` too, that were told one by one."""
    absorbed: Mapping[UUID, str] = field(default_factory=dict)
    joined: UUID | None = None
    """The digest that stands for `joining` too: nothing more is said."""
    joining: tuple[Alert, ...] = ()


def plan(untold: Sequence[Alert], standing: Standing) -> Plan:
    """Ten are told one by one; with the eleventh a digest tells of them all.

    As long as more than ten of a digest's are open it stands for what comes on top: a thousand more sources at a
    provider that is down are no news. Once it has ten or fewer, what comes is told anew.
    """
    if not untold:
        return Plan()
    at_its_height = [digest for digest, still_open in standing.digests.items() if still_open > MOST_IN_WORDS]
    if at_its_height:
        return Plan(joined=at_its_height[0], joining=tuple(untold))
    if len(untold) + len(standing.one_by_one) <= MOST_IN_WORDS:
        return Plan(one_by_one=tuple(untold))
    return Plan(digest=tuple(untold), absorbed=standing.one_by_one)


def announce(connection: Connection, writer: Writer) -> int:
    """Decide what every channel is told, and keep it to be sent; returns how many messages that is."""
    forget_orphans(connection)
    made = []
    # An end is told before what began meanwhile.
    for ended in list_ended(connection):
        made += _all_clear(writer, ended)
        note_cleared(connection, ended)
    keep_deliveries(connection, made)
    untold = list_untold(connection)
    standings = read_standing(connection, list({audience.channel_id for audience in untold}))
    told = 0
    for audience, alerts in untold.items():
        told += _tell(connection, writer, audience, plan(alerts, standings.get(audience, Standing())))
    return len(made) + told


def _tell(connection: Connection, writer: Writer, audience: Audience, planned: Plan) -> int:
    """Keep what is planned; returns how many messages that is."""
    made = []
    for alert in planned.one_by_one:
        delivery_id = uuid4()
        message = writer.alert(delivery_id, alert, to_workspace=audience.workspace_id is not None)
        made.append(NewDelivery(delivery_id, audience, MessageKind.ALERT, message, 1, alert.id))
    if planned.digest:
        delivery_id = uuid4()
        sources = sorted({*(alert.source for alert in planned.digest), *planned.absorbed.values()})
        message = writer.digest(delivery_id, audience, sources, planned.digest)
        made.append(NewDelivery(delivery_id, audience, MessageKind.DIGEST, message, len(sources)))
    keep_deliveries(connection, made)
    for delivery, alert in zip(made, planned.one_by_one, strict=False):
        note_told(connection, audience, delivery.id, [alert.id])
    if planned.digest:
        note_told(connection, audience, made[-1].id, [alert.id for alert in planned.digest])
        let_digest_tell(connection, audience, made[-1].id, list(planned.absorbed))
    if planned.joined is not None:
        note_told(connection, audience, planned.joined, [alert.id for alert in planned.joining])
    return len(made)


def _all_clear(writer: Writer, ended: Ended) -> list[NewDelivery]:
    """The message of the end of what one message told of; none if nobody got that one."""
    if ended.was_given_up:
        return []
    delivery_id = uuid4()
    if ended.kind is MessageKind.DIGEST:
        message = writer.digest_all_clear(delivery_id, ended.audience, ended.alerts)
        kind, alert_id = MessageKind.DIGEST_ALL_CLEAR, None
    else:
        message = writer.all_clear(delivery_id, ended.alerts[0])
        kind, alert_id = MessageKind.ALL_CLEAR, ended.alerts[0].id
    return [NewDelivery(delivery_id, ended.audience, kind, message, len(ended.alerts), alert_id)]
