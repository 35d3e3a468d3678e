"""The rates that a workspace has given for converting its figures."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables.figures import exchange_rates


@dataclass(frozen=True)
class ExchangeRate:
    """What one whole unit of `currency` is in whole units of `into_currency`, from that day until the next rate's."""

    currency: str
    into_currency: str
    day: date
    rate: Decimal


@dataclass(frozen=True)
class KnownRates:
    """The rates of one currency into another: how many, and from and until which day."""

    currency: str
    into_currency: str
    rates: int
    first_day: date
    last_day: date


def write_rates(database: Database, workspace: Workspace, rates: Iterable[ExchangeRate], *, replaces: bool) -> None:
    """Keep these rates; one of the same day takes the place of an older one. If it `replaces`, all others go."""
    rows = [{"workspace_id": workspace.id, **asdict(rate)} for rate in rates]
    statement = insert(exchange_rates)
    key = [column.name for column in exchange_rates.primary_key]
    statement = statement.on_conflict_do_update(index_elements=key, set_={"rate": statement.excluded.rate})
    with database.tenant(workspace.id) as connection:
        if replaces:
            connection.execute(delete(exchange_rates).where(exchange_rates.c.workspace_id == workspace.id))
        if rows:
            connection.execute(statement, rows)


def list_known_rates(database: Database, workspace: Workspace) -> list[KnownRates]:
    """What rates the workspace has."""
    own = exchange_rates.c
    statement = (
        select(
            own.currency,
            own.into_currency,
            func.count().label("rates"),
            func.min(own.day).label("first_day"),
            func.max(own.day).label("last_day"),
        )
        .where(own.workspace_id == workspace.id)
        .group_by(own.currency, own.into_currency)
        .order_by(own.into_currency, own.currency)
    )
    with database.tenant(workspace.id) as connection:
        return [KnownRates(**row._mapping) for row in connection.execute(statement)]
