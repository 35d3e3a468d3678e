"""Claims: which worker is at work on which source that is due, for as long as it is heard of.

A claim is a number in the source's row of `source_schedules`, raised with each one. Whoever commits under a claim looks
whether the number is still its own, in the same transaction: a worker that was away for too long finds another there.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, case, func, literal, text

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.schedule import DAY, HOUR, MINUTE
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import source_schedules as schedules

LEASE_SECONDS = 60.0
"""How long a claim lasts after its worker was last heard of."""

WANTED_EVERY_SECONDS = 30.0
"""At least so long after one check a source that is wanted out of turn is checked again: a burst is one sync or two."""

WORKER_NAME = "cyphera batch"
"""What the connections of a worker are called, before its id."""

LISTINGS_OF_A_WORKSPACE = 2
"""Sources of one workspace at most that are listed at once, or wait for that: a listing may take hours."""

_HEAD = 200
"""Sources that are looked at to find those that are due longest."""
_WALKED = 500
"""Workspaces that are looked at where those whose turn it is not fill the head."""

NOT_CLAIMED: dict[str, Any] = {"claimed_by": None, "lease_until": None}
"""The columns of a claim that is over."""

_log = logging.getLogger(__name__)


class ClaimLostError(CypheraError):
    """Another worker has the source now: this one was not heard of for too long, and may not write any more."""

    code = ErrorCode.OVERTAKEN


@dataclass(frozen=True)
class Claim:
    """A source that this worker, and no other, is at work on.

    `claimed_at` is the database's time, `waited` the seconds since the source was due, `is_listing_due` whether all of
    it is to be listed anew, `has_failed` whether its last syncs failed, `is_wanted` whether it was wanted out of turn.
    """

    workspace_id: UUID
    provider: str
    worker: UUID
    number: int
    claimed_at: datetime
    waited: float
    is_listing_due: bool
    has_failed: bool
    is_wanted: bool = False


@dataclass(frozen=True)
class Backlog:
    """What is due now: the seconds that the source has waited that waits longest, and None if nothing is due.

    `is_attended`: some worker that is heard of has a claim.
    """

    longest_wait: float | None
    is_attended: bool


class ClaimWalk:
    """Where one worker's round through the workspaces stands."""

    def __init__(self) -> None:
        self.after: UUID | None = None


def claim_due(database: Database, worker: UUID, *, limit: int, per_workspace: int, walk: ClaimWalk) -> list[Claim]:
    """Claim up to `limit` sources that are due or wanted, for `LEASE_SECONDS` from now on.

    Those that are wanted out of turn first; then by turns of the workspaces, of which none has more than about
    `per_workspace` sources claimed at once, whatever of it is due, and among them `LISTINGS_OF_A_WORKSPACE` that are to
    be listed anew: by all workers together, as far as each sees what the others have committed. Left out are sources
    that are paused, removed or purged, and those with a session that waits, or whose sync is heard of.
    """
    values = {
        "worker": worker,
        "limit": limit,
        "per_workspace": per_workspace,
        "listings": LISTINGS_OF_A_WORKSPACE,
        "lease": LEASE_SECONDS,
        "wanted_every": WANTED_EVERY_SECONDS,
        "head": _HEAD,
        "walked": _WALKED,
        "after": walk.after,
    }
    with database.control() as connection:
        claimed = [_to_claim(row, worker) for row in connection.execute(_CLAIM_HEAD, values)]
        if len(claimed) >= limit or not connection.execute(_IS_HEAD_FULL, values).scalar_one():
            return claimed
        # The head may be all of workspaces that have their share: a walk, a piece at a time, comes by all the others.
        values["limit"] = limit - len(claimed)
        walk.after = connection.execute(_END_OF_WALK, values).scalar_one_or_none()
        return claimed + [_to_claim(row, worker) for row in connection.execute(_CLAIM_WALK, values)]


def extend_claims(database: Database, worker: UUID) -> set[tuple[UUID, str, int]]:
    """Let the worker's claims last from now on; returns those that it still has, by workspace, provider and number."""
    with database.control() as connection:
        rows = connection.execute(_EXTEND, {"worker": worker, "lease": LEASE_SECONDS})
        return {(row.workspace_id, row.provider_name, row.claim_number) for row in rows}


def release_claims(
    database: Database, claims: Iterable[Claim], *, not_before: float = 0.0, are_due: bool = False
) -> None:
    """Give sources back: whoever is next may have them. Claims that are over are left alone.

    They are due when they are, but not for `not_before` seconds from now; or, if they `are_due`, at once.
    """
    values = {"not_before": not_before, "are_due": are_due}
    with database.control() as connection:
        for claim in sorted(claims, key=lambda claim: (claim.workspace_id, claim.provider)):
            connection.execute(_RELEASE, _of(claim) | values)


def unchanged(since: datetime, until: datetime, key_digest: bytes) -> dict[str, Any]:
    """The columns of a row whose provider told of no change in that time, of the account with that key.

    Where what is known already reaches until there, it is known from its own beginning on.
    """
    is_known_before = and_(
        schedules.c.unchanged_key_digest == key_digest,
        literal(since).between(schedules.c.unchanged_from, schedules.c.unchanged_until),
    )
    return {
        "unchanged_from": case((is_known_before, schedules.c.unchanged_from), else_=since),
        "unchanged_until": case((is_known_before, func.greatest(schedules.c.unchanged_until, until)), else_=until),
        "unchanged_key_digest": key_digest,
    }


def holds(database: Database, claim: Claim) -> bool:
    """Whether nobody has claimed the source since."""
    with database.tenant(claim.workspace_id) as connection:
        return connection.execute(_LOCK, _of(claim)).first() is not None


def is_claimed(database: Database, workspace_id: UUID, provider: str) -> bool:
    """Whether a worker that is heard of is at work on the source."""
    values = {"workspace_id": workspace_id, "provider_name": provider, "lease": LEASE_SECONDS}
    with database.control() as connection:
        return connection.execute(_CLAIMED, values).first() is not None


def check_claim(connection: Connection, claim: Claim) -> None:
    """Raise ClaimLostError if another worker has the source; else none gets it before the transaction has ended.

    Call it last of all before a commit.
    """
    if connection.execute(_LOCK, _of(claim)).first() is None:
        raise ClaimLostError(
            f"Another worker has the {claim.provider} source of workspace {claim.workspace_id}, as this one was not "
            "heard of for too long. The source's next sync continues from what is merged."
        )


def read_backlog(database: Database, *, per_workspace: int) -> Backlog:
    """What is due now, as a claim would see it: without the sources whose workspaces have their share already."""
    values = {
        "wanted_every": WANTED_EVERY_SECONDS,
        "head": _HEAD,
        "lease": LEASE_SECONDS,
        "per_workspace": per_workspace,
        "listings": LISTINGS_OF_A_WORKSPACE,
    }
    with database.control() as connection:
        row = connection.execute(_BACKLOG, values).one()
    return Backlog(row.longest_wait, row.is_attended)


def seconds_until_due(database: Database) -> float | None:
    """How long it is until the next source is due that is not due yet; None if none ever is."""
    with database.control() as connection:
        seconds: float | None = connection.execute(_NEXT).scalar_one()
    return seconds


def mend_schedules(database: Database) -> int:
    """Set right what a clock that was wrong for a while left: sources that are due later than they can be.

    Each is due within its period again, somewhere in it. Returns how many there were. Rows of sources that are gone are
    put where they are in nobody's way.
    """
    with database.control() as connection:
        connection.execute(_PUT_ASIDE)
        return connection.execute(_MEND).rowcount


def end_stopped_worker(database: Database, workspace_id: UUID, provider: str) -> bool:
    """End the connections of a worker that holds the source's lock, and of which nothing was heard for its lease.

    It may be stopped, or cut off; whatever it had not committed is undone. Returns False if somebody else has the lock,
    or nobody.
    """
    with database.control() as connection:
        name = connection.execute(_HOLDER, {"workspace_id": workspace_id, "provider_name": provider}).scalar()
        if name is None or not name.startswith(f"{WORKER_NAME} "):
            return False
        worker = name.removeprefix(f"{WORKER_NAME} ").split(" ")[0]
        if connection.execute(_IS_HEARD_OF, {"worker": worker, "lease": LEASE_SECONDS}).scalar_one():
            return False
        ended = connection.execute(_END_WORKER, {"name": f"{WORKER_NAME} {worker}"}).scalar_one()
    _log.warning("A worker that had not been heard of for its lease held a source: %d connections ended.", ended)
    return True


def _of(claim: Claim) -> dict[str, Any]:
    return {"workspace_id": claim.workspace_id, "provider_name": claim.provider, "number": claim.number}


def _to_claim(row: Row[Any], worker: UUID) -> Claim:
    return Claim(
        workspace_id=row.workspace_id,
        provider=row.provider_name,
        worker=worker,
        number=row.claim_number,
        claimed_at=row.claimed_at,
        waited=max(0.0, float(row.waited)),
        is_listing_due=row.is_listing_due,
        has_failed=row.has_failed,
        is_wanted=row.is_wanted,
    )


_LEASE = "make_interval(secs => :lease)"
# A lease that ends later than one can was written by a clock that was wrong.
_IS_ALIVE = f"claimed_by IS NOT NULL AND lease_until > now() AND lease_until <= now() + 2 * {_LEASE}"
_IS_FREE = f"NOT coalesce({_IS_ALIVE}, false)"
_IS_WANTED = (
    "wanted_at IS NOT NULL AND fresh_at IS NOT NULL AND failures = 0 AND (checked_at IS NULL OR checked_at > now() "
    "OR checked_at <= now() - make_interval(secs => :wanted_every))"
)
# A session whose process is gone is ended by the sync that the claim leads to.
_MAY_BE_SYNCED = """
    EXISTS (
        SELECT FROM sync.workspace_payment_configurations AS configuration
        WHERE configuration.workspace_id = schedule.workspace_id
          AND configuration.provider_name = schedule.provider_name
          AND configuration.is_active AND configuration.deleted_at IS NULL
    ) AND NOT EXISTS (
        SELECT FROM sync.payment_sync_sessions AS session
        WHERE session.workspace_id = schedule.workspace_id AND session.provider_name = schedule.provider_name
          AND (session.status = 'pending'
            OR session.status = 'running' AND session.updated_at > now() - interval '20 seconds')
    ) AND NOT EXISTS (
        SELECT FROM sync.purges
        WHERE purges.workspace_id = schedule.workspace_id AND purges.completed_at IS NULL
          AND (purges.provider_name IS NULL OR purges.provider_name = schedule.provider_name)
    )
"""
_IS_LISTED = "listing_due_at <= now()"
_BUSY = f"""
    SELECT workspace_id, count(*) AS taken, count(*) FILTER (WHERE {_IS_LISTED}) AS listed
    FROM sync.source_schedules WHERE {_IS_ALIVE} GROUP BY workspace_id
"""
_IS_OF_A_SERVED_WORKSPACE = f"""
    EXISTS (
        SELECT FROM busy WHERE busy.workspace_id = schedule.workspace_id
        AND (busy.taken >= :per_workspace OR busy.listed >= :listings AND schedule.{_IS_LISTED})
    )
"""


def _wanted(condition: str = "true") -> str:
    return f"""
        SELECT workspace_id, provider_name, true AS is_wanted, wanted_at AS since, {_IS_LISTED} AS is_listed
        FROM sync.source_schedules AS schedule
        WHERE paused_at IS NULL AND {_IS_WANTED} AND {_IS_FREE} AND {condition} ORDER BY wanted_at LIMIT :head
    """


def _due(condition: str = "true") -> str:
    return f"""
        SELECT workspace_id, provider_name, false AS is_wanted, due_at AS since, {_IS_LISTED} AS is_listed
        FROM sync.source_schedules AS schedule
        WHERE paused_at IS NULL AND due_at <= now() AND {_IS_FREE} AND {condition} ORDER BY due_at LIMIT :head
    """


# From the workspace where the last walk ended, around: of each the source that is due longest.
_WALK = """
    SELECT workspace_id FROM (
        WITH RECURSIVE round (workspace_id) AS (
            (SELECT workspace_id FROM sync.source_schedules
             WHERE paused_at IS NULL
               AND workspace_id > coalesce(:after, '00000000-0000-0000-0000-000000000000'::uuid)
             ORDER BY workspace_id LIMIT 1)
            UNION ALL
            SELECT (SELECT next.workspace_id FROM sync.source_schedules AS next
                    WHERE next.paused_at IS NULL AND next.workspace_id > round.workspace_id
                    ORDER BY next.workspace_id LIMIT 1)
            FROM round WHERE round.workspace_id IS NOT NULL
        )
        SELECT workspace_id FROM round WHERE workspace_id IS NOT NULL LIMIT :walked
    ) AS walked
"""


def _claim(found: str) -> str:
    return f"""
        WITH busy AS MATERIALIZED ({_BUSY}), found AS MATERIALIZED ({found}),
        each_once AS (
            SELECT schedule.workspace_id, schedule.provider_name, bool_or(schedule.is_wanted) AS is_wanted,
                min(schedule.since) AS since, schedule.is_listed, row_number() OVER (
                    PARTITION BY schedule.workspace_id, schedule.is_listed
                    ORDER BY bool_or(schedule.is_wanted) DESC, min(schedule.since)
                ) AS number
            FROM found AS schedule
            WHERE NOT EXISTS (
                SELECT FROM busy WHERE busy.workspace_id = schedule.workspace_id AND busy.taken >= :per_workspace
            ) AND {_MAY_BE_SYNCED}
            GROUP BY schedule.workspace_id, schedule.provider_name, schedule.is_listed
        ),
        ranked AS (
            SELECT each_once.*, row_number() OVER (
                PARTITION BY each_once.workspace_id ORDER BY each_once.is_wanted DESC, each_once.since
            ) + coalesce(busy.taken, 0) AS turn
            FROM each_once LEFT JOIN busy USING (workspace_id)
            WHERE NOT each_once.is_listed OR each_once.number + coalesce(busy.listed, 0) <= :listings
        ),
        locked AS (
            SELECT schedule.workspace_id, schedule.provider_name, ranked.since, ranked.is_wanted
            FROM ranked JOIN sync.source_schedules AS schedule USING (workspace_id, provider_name)
            WHERE ranked.turn <= :per_workspace AND schedule.paused_at IS NULL
              AND (schedule.due_at <= now() OR schedule.wanted_at IS NOT NULL) AND {_IS_FREE}
            ORDER BY ranked.is_wanted DESC, ranked.turn, ranked.since
            LIMIT :limit FOR NO KEY UPDATE OF schedule SKIP LOCKED
        )
        UPDATE sync.source_schedules AS claimed
        SET claimed_by = :worker, claim_number = claimed.claim_number + 1, lease_until = now() + {_LEASE},
            due_at = least(claimed.due_at, now()), wanted_at = NULL
        FROM locked
        WHERE claimed.workspace_id = locked.workspace_id AND claimed.provider_name = locked.provider_name
        RETURNING claimed.workspace_id, claimed.provider_name, claimed.claim_number, now() AS claimed_at,
            extract(epoch FROM now() - locked.since) AS waited, claimed.listing_due_at <= now() AS is_listing_due,
            claimed.last_failure IS NOT NULL AS has_failed, locked.is_wanted
    """


_CLAIM_HEAD = text(_claim(f"SELECT * FROM ({_wanted()}) AS wanted UNION ALL SELECT * FROM ({_due()}) AS due"))
_CLAIM_WALK = text(
    _claim(
        f"""
        SELECT due.* FROM ({_WALK}) AS walked CROSS JOIN LATERAL (
            SELECT workspace_id, provider_name, false AS is_wanted, due_at AS since, {_IS_LISTED} AS is_listed
            FROM sync.source_schedules AS of_one
            WHERE of_one.workspace_id = walked.workspace_id AND paused_at IS NULL AND due_at <= now() AND {_IS_FREE}
            ORDER BY of_one.workspace_id, due_at LIMIT :per_workspace
        ) AS due
        """
    )
)
_IS_HEAD_FULL = text(f"SELECT count(*) >= :head FROM ({_due()}) AS due")
# NULL where it has come around.
_END_OF_WALK = text(
    f"SELECT CASE WHEN count(*) >= :walked THEN (array_agg(workspace_id ORDER BY workspace_id DESC))[1] END "
    f"FROM ({_WALK}) AS walked"
)
_EXTEND = text(
    f"UPDATE sync.source_schedules SET lease_until = now() + {_LEASE} WHERE claimed_by = :worker "
    "RETURNING workspace_id, provider_name, claim_number"
)
_IS_CLAIM = "workspace_id = :workspace_id AND provider_name = :provider_name AND claim_number = :number"
_RELEASE = text(
    "UPDATE sync.source_schedules SET claimed_by = NULL, lease_until = NULL, due_at = CASE "
    "WHEN :are_due THEN least(due_at, now()) "
    "WHEN :not_before > 0 THEN greatest(due_at, now() + make_interval(secs => :not_before)) ELSE due_at END "
    f"WHERE {_IS_CLAIM} AND claimed_by IS NOT NULL"
)
_CLAIMED = text(
    "SELECT FROM sync.source_schedules WHERE workspace_id = :workspace_id AND provider_name = :provider_name "
    f"AND {_IS_ALIVE}"
)
_LOCK = text(f"SELECT FROM sync.source_schedules WHERE {_IS_CLAIM} FOR SHARE")
_BACKLOG = text(
    f"""
    WITH busy AS MATERIALIZED ({_BUSY}), waiting AS (
        SELECT schedule.since FROM (
            SELECT * FROM ({_wanted(f"NOT {_IS_OF_A_SERVED_WORKSPACE}")}) AS wanted
            UNION ALL SELECT * FROM ({_due(f"NOT {_IS_OF_A_SERVED_WORKSPACE}")}) AS due
        ) AS schedule
        WHERE {_MAY_BE_SYNCED}
    )
    SELECT (SELECT CAST(extract(epoch FROM now() - min(since)) AS float8) FROM waiting) AS longest_wait,
        EXISTS (SELECT FROM sync.source_schedules WHERE {_IS_ALIVE}) AS is_attended
    """
)
_NEXT = text(
    "SELECT CAST(extract(epoch FROM min(due_at) - now()) AS float8) FROM sync.source_schedules "
    "WHERE paused_at IS NULL AND due_at > now()"
)
# The period, an hour more on a day with a change of the clock; or what failures made of it, a day and a period at most.
_LATEST = f"""
    make_interval(secs => CASE
        WHEN last_failure IS NOT NULL THEN greatest(changes_every_seconds, {DAY}) + {DAY} + {HOUR}
        WHEN daily_at IS NOT NULL THEN {DAY} + {2 * HOUR}
        ELSE changes_every_seconds + {MINUTE}
    END)
"""
_MEND = text(
    f"""
    UPDATE sync.source_schedules
    SET due_at = now() + random() * make_interval(secs => least(changes_every_seconds, {HOUR})),
        listing_due_at = least(listing_due_at, now() + make_interval(secs => listing_every_seconds))
    WHERE paused_at IS NULL AND due_at > now() + {_LATEST}
      AND EXISTS (
        SELECT FROM sync.workspace_payment_configurations AS configuration
        WHERE configuration.workspace_id = source_schedules.workspace_id
          AND configuration.provider_name = source_schedules.provider_name
          AND configuration.is_active AND configuration.deleted_at IS NULL)
    """
)
_PUT_ASIDE = text(
    """
    UPDATE sync.source_schedules SET due_at = now() + interval '365 days', wanted_at = NULL
    WHERE paused_at IS NULL AND due_at <= now() - interval '10 minutes'
      AND NOT EXISTS (
        SELECT FROM sync.workspace_payment_configurations AS configuration
        WHERE configuration.workspace_id = source_schedules.workspace_id
          AND configuration.provider_name = source_schedules.provider_name
          AND configuration.is_active AND configuration.deleted_at IS NULL)
    """
)
_HOLDER = text(
    """
    SELECT pg_stat_activity.application_name
    FROM sync.source_locks JOIN pg_locks ON pg_locks.locktype = 'advisory' AND pg_locks.granted
        AND pg_locks.objsubid = 1
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND pg_locks.classid = ((source_locks.number >> 32) & 4294967295)::oid
        AND pg_locks.objid = (source_locks.number & 4294967295)::oid
    JOIN pg_stat_activity USING (pid)
    WHERE source_locks.workspace_id = :workspace_id AND source_locks.provider_name = :provider_name
      AND pg_stat_activity.usename = current_user
    LIMIT 1
    """
)
_IS_HEARD_OF = text(
    f"SELECT EXISTS (SELECT FROM sync.source_schedules WHERE claimed_by = CAST(:worker AS uuid) AND {_IS_ALIVE})"
)
_END_WORKER = text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE starts_with(application_name, :name) AND usename = current_user AND pid <> pg_backend_pid()"
)
