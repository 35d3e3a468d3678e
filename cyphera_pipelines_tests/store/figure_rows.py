"""Rows of figures and of synced tables, written straight into the tables."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert

from cyphera_pipelines.model.columns import Kind
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, required_columns
from cyphera_pipelines.store.tables import figure_tables, synced_tables

_FIGURES = {table.name: table for table in figure_tables}
_LIVE = {"provider": "stripe", "livemode": True}
_GIVEN = {"content_hash": b"x", "source_version": datetime(2024, 1, 1)}  # noqa: DTZ001 (the server's zone is UTC)
_OF_KIND: dict[Kind, Any] = {Kind.TIMESTAMP: date(2024, 1, 1), Kind.INTEGER: 0, Kind.TEXT: "eur"}


def add_synced(connection: Connection, table: str, workspace_id: UUID, **values: Any) -> None:
    """A row of live data; what the table requires beside the given is filled in."""
    required = required_columns(SYNCED_TABLES[table])
    row = {each.name: _OF_KIND[each.kind] for each in SYNCED_TABLES[table].columns if each.name in required}
    given = _LIVE | _GIVEN | {"workspace_id": workspace_id} | row | values
    connection.execute(insert(synced_tables[table]).values(**given))


def add_mrr(
    connection: Connection, workspace_id: UUID, subscription: str, since: str, until: str | None, mrr: int, **other: Any
) -> None:
    """What a subscription's item brought from one day on until another."""
    values = {
        "workspace_id": workspace_id,
        "subscription_id": subscription,
        "item_id": f"{subscription}-item",
        "valid_from": since,
        "valid_to": until,
        "customer_id": subscription,
        "currency": "eur",
        "status": "active",
        "mrr": mrr,
        "provenance": "observed",
        "is_estimated": False,
    }
    connection.execute(insert(_FIGURES["subscription_mrr"]).values(**_LIVE | values | other))


def add_movements(
    connection: Connection, workspace_id: UUID, customer: str, *moves: tuple[str, str, str, int], **other: Any
) -> None:
    """A customer's movements: (day, movement, reason, MRR when the day ended) each."""
    opening = 0
    for day, movement, reason, closing in moves:
        values = {
            "workspace_id": workspace_id,
            "customer_id": customer,
            "currency": "eur",
            "day": day,
            "movement": movement,
            "reason": reason,
            "opening": opening,
            "closing": closing,
            "change": closing - opening,
            "gap_days": 43 if movement == "reactivation" else None,
            "provenance": "observed",
        }
        connection.execute(insert(_FIGURES["mrr_movements"]).values(**_LIVE | values | other))
        opening = closing


def add_build(connection: Connection, workspace_id: UUID) -> None:
    """That figures were built."""
    at = datetime(2024, 6, 1)  # noqa: DTZ001 (the server's zone is UTC)
    values = {"workspace_id": workspace_id, "built_at": at, "seen_until": at, "rules": {}, "rules_digest": "x"}
    connection.execute(insert(_FIGURES["figure_builds"]).values(**_LIVE | values))


def add_rate(connection: Connection, workspace_id: UUID, currency: str, into: str, day: str, rate: str) -> None:
    """A rate of exchange."""
    values = {"workspace_id": workspace_id, "currency": currency, "into_currency": into, "day": day, "rate": rate}
    connection.execute(insert(_FIGURES["exchange_rates"]).values(**values))
