"""The outbox of alerts: one worker at a time has a channel, and sends it one message after the other.

A worker claims a channel for a while. Where it dies, the claim runs out and another sends what it had not written down
as delivered: under the same id, so that the receiver can tell. One whose claim was taken over writes nothing down.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, text

from cyphera_pipelines.model.alert_channels import AlertChannel, AlertDelivery, ChannelKind, MessageKind
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.errors import ConflictError, NotFoundError
from cyphera_pipelines.model.quotas import QuotaReachedError
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.store.audit import OF_DEPLOYMENT, record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import alert_deliveries as deliveries

CLAIM_SECONDS = 60
"""For how long a worker has a channel from its last sign of life on; one attempt takes less."""

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 30, 3_600
"""Until a channel that failed is tried again: twice as long after each failure, up to this."""

DEAD_AFTER_SECONDS = 86_400
"""A channel that has failed for so long is given up, with all that waits for it."""

MOST_REFUSALS = 3
"""A message that was refused so often is given up, and the next one is tried."""

MOST_TESTS_PER_HOUR = 30
"""Of one workspace, or of the deployment: every test is a request to wherever somebody said."""

LONGEST_ERROR = 500


@dataclass(frozen=True)
class Claim:
    """A channel that this worker has."""

    channel_id: UUID
    workspace_id: UUID | None
    name: str
    kind: ChannelKind
    envelope: str = field(repr=False)
    number: int


@dataclass(frozen=True)
class DueDelivery:
    """A message that is to be sent. `attempts` counts this one."""

    id: UUID
    kind: MessageKind
    message: dict[str, Any]
    attempts: int


def claim_channels(database: Database, *, healthy: int, failing: int, but_not: Collection[UUID] = ()) -> list[Claim]:
    """Have channels to oneself for which something is due: so many of those that work, and of those that fail.

    They are counted apart, so that any number of dead receivers holds up nobody whose receiver works.
    """
    found: list[Claim] = []
    for condition, limit in (("= 0", healthy), ("> 0", failing)):
        if limit > 0:
            given = {"limit": limit, "seconds": CLAIM_SECONDS, "but_not": list(but_not)}
            with database.control() as connection:
                rows = connection.execute(text(_CLAIM.format(condition=condition)), given)
                found.extend(_to_claim(row) for row in rows)
    return found


def claim_for_test(database: Database, channel: AlertChannel, message: dict[str, Any]) -> tuple[Claim, DueDelivery]:
    """Have the channel to oneself to send this test, whatever else waits. `message["id"]` is the delivery's.

    Raises ConflictError while somebody else has it, and QuotaReachedError after too many tests.
    """
    with database.control() as connection:
        tests = connection.execute(_TESTS, {"workspace_id": channel.workspace_id}).scalar_one()
        if tests >= MOST_TESTS_PER_HOUR:
            raise QuotaReachedError(
                f"Channels were tested {tests} times within an hour, as often as they may be. Wait a while.",
                passes=True,
            )
        row = connection.execute(_CLAIM_ONE, {"id": channel.id, "seconds": CLAIM_SECONDS}).one_or_none()
        if row is None:
            raise ConflictError(f"Something is just being sent to {channel.name}. Wait a minute, then test it.")
        delivery_id = UUID(message["id"])
        values = {
            "id": delivery_id,
            "channel_id": channel.id,
            "workspace_id": channel.workspace_id,
            "kind": MessageKind.TEST.value,
            "sources": 0,
            "message": message,
            "attempts": 1,
        }
        connection.execute(insert(deliveries).values(values))
        record_action(
            connection,
            channel.workspace_id or OF_DEPLOYMENT,
            Action.ALERT_CHANNEL_TESTED,
            channel.id,
            {"name": channel.name},
        )
    return _to_claim(row), DueDelivery(delivery_id, MessageKind.TEST, message, 1)


def next_due(database: Database, claim: Claim) -> DueDelivery | None:
    """The next message for the channel, whose attempt is counted before it is made; None if there is none.

    None too if the channel is somebody else's by now.
    """
    given = {"channel": claim.channel_id, "number": claim.number, "seconds": CLAIM_SECONDS}
    with database.control() as connection:
        if connection.execute(_HOLD, given).rowcount == 0:
            return None
        row = connection.execute(_NEXT, given).one_or_none()
    return None if row is None else DueDelivery(row.id, MessageKind(row.kind), row.message, row.attempts)


def note_delivered(database: Database, claim: Claim, delivery: DueDelivery) -> bool:
    """Write down that it was taken; False if the channel is somebody else's by now: then it may be sent once more."""
    given = {"channel": claim.channel_id, "number": claim.number, "id": delivery.id, "seconds": CLAIM_SECONDS}
    with database.control() as connection:
        if connection.execute(_WORKS, given).rowcount == 0:
            return False
        connection.execute(_DELIVERED, given)
    return True


def note_failed(database: Database, claim: Claim, delivery: DueDelivery, error: str, *, was_refused: bool) -> None:
    """Write down that it was not, and when the channel is tried again, if it is. The claim ends."""
    given = {
        "channel": claim.channel_id,
        "number": claim.number,
        "id": delivery.id,
        "error": storable(error[:LONGEST_ERROR]),
        "first": FIRST_RETRY_SECONDS,
        "longest": LONGEST_RETRY_SECONDS,
        "dead_after": DEAD_AFTER_SECONDS,
        "is_last": delivery.kind is MessageKind.TEST or (was_refused and delivery.attempts >= MOST_REFUSALS),
    }
    with database.control() as connection:
        # A test that fails keeps nothing from being sent.
        failed = _TEST_FAILED if delivery.kind is MessageKind.TEST else _FAILED
        row = connection.execute(failed, given).one_or_none()
        if row is None:
            return
        connection.execute(_NOT_DELIVERED, given)
        if row.is_dead:
            connection.execute(_GIVE_ALL_UP, given)


def release(database: Database, claim: Claim) -> None:
    """End the claim, if it is still ours."""
    with database.control() as connection:
        connection.execute(_RELEASE, {"channel": claim.channel_id, "number": claim.number})


def list_deliveries(
    database: Database, workspace_id: UUID | None, *, channel_id: UUID | None = None, limit: int = 50
) -> list[AlertDelivery]:
    """The newest deliveries of the workspace's channels; for the deployment (operators only), of all."""
    given = {"channel": channel_id, "limit": limit}
    transaction = database.control() if workspace_id is None else database.tenant(workspace_id)
    with transaction as connection:
        return [_to_delivery(row) for row in connection.execute(_LIST, given)]


def find_delivery(database: Database, delivery_id: UUID) -> AlertDelivery:
    """One delivery, or NotFoundError; for the pipeline itself."""
    with database.control() as connection:
        row = connection.execute(text(_LISTED + " WHERE delivery.id = :id"), {"id": delivery_id}).one_or_none()
    if row is None:
        raise NotFoundError("There is no such delivery.")
    return _to_delivery(row)


def count_waiting(database: Database) -> int:
    """How many messages are to be sent to channels that are alive."""
    waiting = select(text("count(*)")).select_from(text("sync.alert_deliveries AS delivery")).where(text(_IS_WAITING))
    with database.control() as connection:
        count: int = connection.execute(waiting).scalar_one()
    return count


def _to_claim(row: Row[Any]) -> Claim:
    return Claim(row.id, row.workspace_id, row.name, ChannelKind(row.kind), row.address, row.claim_number)


def _to_delivery(row: Row[Any]) -> AlertDelivery:
    values = {name: row._mapping[name] for name in AlertDelivery.__dataclass_fields__}
    return AlertDelivery(**values | {"kind": MessageKind(values["kind"])})


_IS_WAITING = "delivery.delivered_at IS NULL AND delivery.given_up_at IS NULL"
_TAKE = """
    UPDATE sync.alert_channels AS channel
    SET claimed_until = now() + make_interval(secs => :seconds), claim_number = claim_number + 1
    WHERE id = ANY (ARRAY (
        SELECT id FROM sync.alert_channels AS due
        WHERE removed_at IS NULL AND (claimed_until IS NULL OR claimed_until <= now()) AND {condition}
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id, workspace_id, name, kind, address, claim_number
"""
_CLAIM = _TAKE.replace(
    "{condition}",
    f"""
        dead_at IS NULL AND failures {{condition}} AND (retry_at IS NULL OR retry_at <= now()) AND id <> ALL (:but_not)
        AND EXISTS (SELECT FROM sync.alert_deliveries AS delivery WHERE channel_id = due.id AND {_IS_WAITING})
        ORDER BY retry_at NULLS FIRST, created_at LIMIT :limit
    """,
)
_CLAIM_ONE = text(_TAKE.format(condition="id = :id"))
_TESTS = text(
    """
    SELECT count(*) FROM sync.alert_deliveries
    WHERE kind = 'test' AND workspace_id IS NOT DISTINCT FROM :workspace_id AND created_at > now() - interval '1 hour'
    """
)
_HOLD = text(
    """
    UPDATE sync.alert_channels SET claimed_until = now() + make_interval(secs => :seconds)
    WHERE id = :channel AND claim_number = :number AND removed_at IS NULL AND dead_at IS NULL
    """
)
_NEXT = text(
    f"""
    UPDATE sync.alert_deliveries SET attempts = attempts + 1, attempted_at = now()
    WHERE id = (
        SELECT id FROM sync.alert_deliveries AS delivery WHERE channel_id = :channel AND {_IS_WAITING}
        ORDER BY number LIMIT 1
    )
    RETURNING id, kind, message, attempts
    """
)
_WORKS = text(
    """
    UPDATE sync.alert_channels
    SET delivered_at = now(), failures = 0, failing_since = NULL, last_error = NULL, retry_at = NULL, dead_at = NULL,
        claimed_until = now() + make_interval(secs => :seconds)
    WHERE id = :channel AND claim_number = :number
    """
)
_DELIVERED = text(
    """
    UPDATE sync.alert_deliveries
    SET delivered_at = now(), attempted_at = coalesce(attempted_at, now()), last_error = NULL, message = '{}'
    WHERE id = :id
    """
)
_FAILED = text(
    """
    UPDATE sync.alert_channels
    SET failures = failures + 1, failing_since = coalesce(failing_since, now()), last_error = :error,
        retry_at = now() + make_interval(secs => least(:longest, :first * power(2, least(failures, 20)))),
        dead_at = CASE WHEN failing_since <= now() - make_interval(secs => :dead_after) THEN now() END,
        claimed_until = NULL
    WHERE id = :channel AND claim_number = :number
    RETURNING dead_at IS NOT NULL AS is_dead
    """
)
_TEST_FAILED = text(
    """
    UPDATE sync.alert_channels SET claimed_until = NULL, last_error = :error
    WHERE id = :channel AND claim_number = :number
    RETURNING false AS is_dead
    """
)
_NOT_DELIVERED = text(
    """
    UPDATE sync.alert_deliveries
    SET last_error = :error, attempted_at = coalesce(attempted_at, now()),
        given_up_at = CASE WHEN :is_last THEN now() END, message = CASE WHEN :is_last THEN '{}' ELSE message END
    WHERE id = :id
    """
)
_GIVE_ALL_UP = text(
    f"""
    UPDATE sync.alert_deliveries AS delivery SET given_up_at = now(), message = '{{}}',
        last_error = coalesce(last_error, 'The channel had failed for too long.')
    WHERE channel_id = :channel AND {_IS_WAITING}
    """
)
_RELEASE = text("UPDATE sync.alert_channels SET claimed_until = NULL WHERE id = :channel AND claim_number = :number")
_LISTED = """
    SELECT delivery.id, delivery.channel_id, channel.name AS channel_name, delivery.kind, delivery.provider_name,
        delivery.cause, delivery.sources, delivery.created_at, delivery.attempts, delivery.attempted_at,
        delivery.last_error, delivery.delivered_at, delivery.given_up_at,
        workspaces.slug || ':' || alert.provider_name AS source
    FROM sync.alert_deliveries AS delivery
    JOIN sync.alert_channels AS channel ON channel.id = delivery.channel_id
    LEFT JOIN sync.alerts AS alert ON alert.id = delivery.alert_id
    LEFT JOIN sync.workspaces ON workspaces.id = alert.workspace_id
"""
_LIST = text(
    _LISTED
    + """
    WHERE CAST(:channel AS uuid) IS NULL OR delivery.channel_id = CAST(:channel AS uuid)
    ORDER BY delivery.number DESC LIMIT :limit
    """
)
