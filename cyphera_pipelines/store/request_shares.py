"""What each process wants to ask of a provider's account now, told to all others that ask it.

An account is one and the same whichever key and workspace opens it, once a sync has said which it is. All times are the
database's own.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import orjson
from sqlalchemy import delete, func, text

from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import request_shares

FORGOTTEN_AFTER = 5
"""Seconds after which a participant is forgotten of which nothing more is heard: its process has died."""

Rates: TypeAlias = Mapping[str, tuple[float, float]]
"""Requests per second to read and to write, by endpoint; those of the whole account under an empty name."""


@dataclass(frozen=True)
class Opening:
    """What opened an account. `key_digest` is as of `sync.client.OpenedAccount`."""

    workspace_id: UUID
    provider: str
    address: str
    key_digest: bytes


@dataclass(frozen=True)
class Wish:
    """What one participant wants of the account that was opened so."""

    participant: UUID
    opening: Opening
    wanted: Rates


def tell_wishes(database: Database, wishes: Sequence[Wish]) -> dict[UUID, list[Rates]]:
    """Tell the wishes, and return by participant those of all others at the same account. One statement."""
    values = {
        "participants": [wish.participant for wish in wishes],
        "workspaces": [wish.opening.workspace_id for wish in wishes],
        "providers": [wish.opening.provider for wish in wishes],
        "addresses": [wish.opening.address for wish in wishes],
        "digests": [wish.opening.key_digest for wish in wishes],
        "wanted": [orjson.dumps(wish.wanted).decode() for wish in wishes],
        "seconds": FORGOTTEN_AFTER,
    }
    found = defaultdict[UUID, list[Rates]](list)
    with database.control() as connection:
        for row in connection.execute(_TELL, values):
            found[row.participant].append({name: (rates[0], rates[1]) for name, rates in row.wanted.items()})
    return found


def leave(database: Database, participants: Iterable[UUID]) -> None:
    """Take them away, and who has been forgotten for long. One statement."""
    gone = request_shares.c.participant.in_(list(participants)) | (
        request_shares.c.until < func.now() - text("interval '1 minute'")
    )
    with database.control() as connection:
        connection.execute(delete(request_shares).where(gone))


_TELL = text(
    """
    WITH told AS (
        SELECT wish.participant, wish.wanted::jsonb AS wanted, wish.provider_name || ' ' || coalesce(
            wish.address || ' ' || known.account_id || CASE WHEN known.livemode THEN ' live' ELSE ' test' END,
            encode(wish.key_digest, 'hex')
        ) AS account
        FROM unnest(
            CAST(:participants AS uuid[]), CAST(:workspaces AS uuid[]), CAST(:providers AS text[]),
            CAST(:addresses AS text[]), CAST(:digests AS bytea[]), CAST(:wanted AS text[])
        ) AS wish (participant, workspace_id, provider_name, address, key_digest, wanted)
        LEFT JOIN LATERAL (
            SELECT account_id, livemode FROM sync.synced_accounts AS synced
            WHERE synced.workspace_id = wish.workspace_id AND synced.provider_name = wish.provider_name
                AND synced.key_digest = wish.key_digest
            ORDER BY updated_at DESC LIMIT 1
        ) AS known ON true
    ),
    kept AS (
        INSERT INTO sync.request_shares (participant, account, wanted, until)
        SELECT participant, account, wanted, clock_timestamp() + make_interval(secs => :seconds) FROM told
        ON CONFLICT (participant) DO UPDATE
        SET account = excluded.account, wanted = excluded.wanted, until = excluded.until
    )
    SELECT told.participant, others.wanted
    FROM told JOIN sync.request_shares AS others
        ON others.account = told.account AND others.participant <> told.participant
    WHERE others.until > clock_timestamp()
    """
)
