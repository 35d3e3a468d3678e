"""A small fleet with a source in every state, as the engine leaves their rows: for looking at, and for what looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy import func, insert, update

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.tables import payment_sync_sessions as sessions
from cyphera_pipelines.store.tables import source_schedules as schedules
from cyphera_pipelines.store.workspaces import create_workspace

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Seeded:
    """A source as it is to be: its schedule's columns, where times are ages, and what its syncs came to, oldest first.

    The newest sync ended `last` ago, with so many rows created.
    """

    slug: str
    name: str
    provider: str = "stripe"
    label: str | None = None
    ages: Mapping[str, timedelta] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    syncs: Sequence[str] = ()
    last: timedelta = 4 * MINUTE
    every: timedelta = 2 * HOUR
    rows: int = 0
    is_live: bool = True


def _failing(message: str, failures: int, code: ErrorCode) -> dict[str, Any]:
    return {"last_failure": message, "last_failure_code": code.value, "failures": failures}


_GOOD = ("completed",) * 20
FLEET = (
    Seeded(
        "harbor-books",
        "Harbor Books",
        ages={"fresh_at": 26 * HOUR, "failing_since": 22 * HOUR, "checked_at": 20 * MINUTE, "due_at": -40 * MINUTE},
        columns=_failing(
            "Stripe does not answer: five connections timed out. Its status page tells more.",
            11,
            ErrorCode.PROVIDER_UNREACHABLE,
        ),
        syncs=(*_GOOD[:9], *("failed",) * 11),
        last=20 * MINUTE,
    ),
    Seeded(
        "northwind",
        "Northwind Traders",
        label="EU shop",
        ages={"fresh_at": 3 * HOUR, "failing_since": 3 * HOUR, "checked_at": 30 * MINUTE, "due_at": -15 * MINUTE},
        columns=_failing(
            "The key may not read invoices; customers, products, prices and subscriptions are synced.",
            0,
            ErrorCode.PERMISSION_MISSING,
        ),
        syncs=(*_GOOD[:15], *("partial",) * 5),
        last=30 * MINUTE,
        rows=312,
    ),
    Seeded(
        "bluebird",
        "Bluebird Analytics",
        ages={"fresh_at": 2 * DAY, "failing_since": 2 * DAY, "paused_at": 2 * DAY, "due_at": 2 * DAY - 15 * MINUTE},
        columns={
            **_failing("Stripe rejects the API key.", 1, ErrorCode.CREDENTIALS_REJECTED),
            "paused_code": ErrorCode.CREDENTIALS_REJECTED.value,
            "paused_kind": "credentials",
            "paused_reason": "The credentials were rejected: Stripe rejects the API key.",
            "paused_by": "process:cyphera@worker",
        },
        syncs=(*_GOOD[:19], "failed"),
        last=2 * DAY,
    ),
    Seeded(
        "kestrel",
        "Kestrel Cloud",
        "chargebee",
        ages={"fresh_at": 9 * HOUR, "checked_at": 9 * HOUR, "due_at": 8 * HOUR},
        syncs=_GOOD[:14],
        last=9 * HOUR,
        rows=48,
    ),
    Seeded("juniper", "Juniper Press", ages={"due_at": -2 * MINUTE}),
    Seeded(
        "old-oak",
        "Old Oak Furniture",
        ages={"fresh_at": 6 * DAY, "paused_at": 6 * DAY, "due_at": 6 * DAY},
        columns={
            "paused_kind": "person",
            "paused_reason": "the account moves to another owner",
            "paused_by": "cli:jane@ops",
        },
        syncs=(*_GOOD[:11], "cancelled"),
        last=6 * DAY,
        rows=2,
    ),
    Seeded(
        "meridian",
        "Meridian Health",
        ages={"fresh_at": 14 * MINUTE, "checked_at": 14 * MINUTE, "due_at": -1 * MINUTE},
        syncs=(*_GOOD, "running"),
        last=timedelta(0),
        rows=18_204,
    ),
    Seeded("acme", "Acme Ltd.", ages={"fresh_at": 4 * MINUTE, "due_at": -11 * MINUTE}, syncs=_GOOD, rows=1_284_067),
    Seeded(
        "acme-eu",
        "Acme Europe",
        "chargebee",
        ages={"fresh_at": 9 * MINUTE, "due_at": -6 * MINUTE},
        syncs=(*_GOOD[:12], "failed", *_GOOD[:7]),
        last=9 * MINUTE,
        rows=93,
    ),
    Seeded("sandbox", "Sandbox", ages={"fresh_at": MINUTE, "due_at": -14 * MINUTE}, syncs=_GOOD[:3], is_live=False),
)


def seed_fleet(database: Database, keyring: Keyring, fleet: Sequence[Seeded] = FLEET, suffix: str = "") -> list[Source]:
    """Make the workspaces and sources; `suffix` keeps their slugs apart from others' in the same database."""
    return [_seed(database, keyring, each, f"{each.slug}{suffix}") for each in fleet]


def _seed(database: Database, keyring: Keyring, seeded: Seeded, slug: str) -> Source:
    workspace = create_workspace(database, slug, seeded.name)
    options = {"site": "seeded-test"} if seeded.provider == "chargebee" else {}
    prefix = "sk_live_" if seeded.is_live else "sk_test_"
    key = "live_seeded" if options else f"{prefix}seeded{uuid4().hex}"
    credentials = Credentials(api_key=SecretStr(key), options=options)
    create_configuration(
        database,
        keyring,
        workspace,
        seeded.provider,
        credentials,
        is_test_mode=not seeded.is_live,
        label=seeded.label,
    )
    source = find_source(database, f"{slug}:{seeded.provider}")
    moments = {name: func.now() - age for name, age in seeded.ages.items()}
    with database.control() as connection:
        connection.execute(
            update(schedules)
            .where(schedules.c.workspace_id == workspace.id)
            .values(**moments, **seeded.columns, changes_every_seconds=900)
        )
        if seeded.syncs:
            connection.execute(insert(sessions), _sessions(seeded, source))
    return source


def _sessions(seeded: Seeded, source: Source) -> list[dict[str, Any]]:
    now, rows = datetime.now(UTC), []
    for number, status in enumerate(reversed(seeded.syncs)):
        ended = now - seeded.last - number * seeded.every
        is_over = status not in ("pending", "running")
        created = seeded.rows if number == 0 or not is_over else number
        counts = {"created": created, "updated": 0, "deleted": 0, "fetched": created, "done": is_over}
        rows.append(
            {
                "workspace_id": source.workspace_id,
                "provider_name": source.provider,
                "session_type": "initial_sync" if number == len(seeded.syncs) - 1 else "delta_sync",
                "status": status,
                "entity_types": [entity.value for entity in Entity],
                "progress": {"entities": {Entity.INVOICES.value: counts}},
                "created_at": ended - 20 * timedelta(seconds=1),
                "started_at": ended - 18 * timedelta(seconds=1),
                "updated_at": ended if is_over else now,
                "completed_at": ended if is_over else None,
            }
        )
    return rows
