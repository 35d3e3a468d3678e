"""What came to the platform's address and is of no workspace's account: that it came, and why nobody got it.

What it told is not kept: it would be data of an account that nobody here may read. Nothing is lost by that. Once a
source reaches the account, its first listing brings everything, and every sync after it asks for what changed.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import unrouted_webhook_events as unrouted

LONGEST_NAME = 255


@dataclass(frozen=True)
class UnroutedEvent:
    """A provider event that was given to no workspace. `livemode` is None where nobody can tell."""

    id: str
    provider_name: str
    event_type: str
    account_id: str | None
    livemode: bool | None
    reason: str
    received_at: datetime


def note_unrouted(
    database: Database,
    provider: str,
    *,
    external_id: str,
    kind: str,
    account: str | None,
    livemode: bool | None,
    why: str,
) -> None:
    """Note that the event came; once, however often it does."""
    values = {
        "provider_name": provider,
        "external_id": storable(external_id[:LONGEST_NAME]),
        "event_type": storable(kind[:LONGEST_NAME]),
        "account_id": None if account is None else storable(account[:LONGEST_NAME]),
        "livemode": livemode,
        "reason": storable(why),
    }
    with database.control() as connection:
        noted = insert(unrouted).values(values)
        connection.execute(
            noted.on_conflict_do_update(
                index_elements=["provider_name", "external_id"],
                set_={"reason": noted.excluded.reason, "received_at": func.now()},
            )
        )


def list_unrouted(database: Database, *, limit: int) -> list[UnroutedEvent]:
    """The newest of them: for operators."""
    columns = [unrouted.c[name] for name in UnroutedEvent.__dataclass_fields__ if name != "id"]
    newest = select(unrouted.c.external_id.label("id"), *columns).order_by(unrouted.c.received_at.desc()).limit(limit)
    with database.control() as connection:
        return [UnroutedEvent(**row._mapping) for row in connection.execute(newest)]
