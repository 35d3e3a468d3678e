"""What subscription items cost in the currency that they are billed in, where that is not their price's own.

The provider tells an item with its price in the price's own currency, and what the price costs in others only with the
price. Items and prices come in any order: so this is settled once both are in the tables.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.tables.metadata import PAYMENTS_SCHEMA

SETTLED_COLUMNS = frozenset({"unit_amount", "unit_amount_decimal"})
"""The columns of subscription items that are settled here."""
_RECORDED_AT_ONCE = 5_000


def settle_billed_amounts(connection: Connection, source: Source, since: datetime, *, livemode: bool) -> int:
    """Give items in another currency than their price's own the amounts that the price names for it, or none any more.

    Rows that have them already are not written. Returns how many were that nobody had written since then.
    """
    parameters: dict[str, Any] = {
        "workspace_id": source.workspace_id,
        "provider": source.provider,
        "livemode": livemode,
    }
    if not connection.execute(text(_HAS_OPTIONS), parameters).scalar_one():
        return 0
    # Of tables that have just been filled, the planner expects a row and looks at every item for every option: that
    # took 50 seconds for 48,000 items, and takes a tenth of one if all are read once.
    connection.execute(text("SET LOCAL enable_nestloop = off"))
    settled = connection.execute(text(_SETTLE), parameters | {"since": since}).all()
    connection.execute(text("SET LOCAL enable_nestloop TO DEFAULT"))
    _record(connection, parameters, [row.subscription_id for row in settled])
    return sum(row.was_older for row in settled)


def may_be_settled(item: str) -> str:
    """SQL: whether `item` may have been told without amounts for the sole reason that it is billed in another currency.

    Not where its price is known to be in that currency: then there are none. It takes the parameters of a source.
    """
    return (
        f"({item}.unit_amount IS NULL AND {item}.unit_amount_decimal IS NULL AND {item}.price_id IS NOT NULL "
        f"AND NOT EXISTS (SELECT FROM {PAYMENTS_SCHEMA}.prices AS price WHERE {_OF_SOURCE.format('price')} "
        f"AND price.id = {item}.price_id AND price.currency = {item}.currency))"
    )


def settle_billed_amounts_of(
    connection: Connection, source: Source, subscription_ids: Sequence[str], *, livemode: bool
) -> None:
    """The same for the items of a few subscriptions, which have just been written."""
    parameters = {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": livemode}
    settled = connection.execute(text(_SETTLE_SOME), {**parameters, "ids": list(subscription_ids)}).scalars().all()
    _record(connection, parameters, settled)


def _record(connection: Connection, parameters: Mapping[str, Any], subscription_ids: Sequence[str]) -> None:
    """Bring the history of these subscriptions in step, whose own rows were not written."""
    ids = sorted(set(subscription_ids))
    for at in range(0, len(ids), _RECORDED_AT_ONCE):
        connection.execute(text(_RECORD), {**parameters, "ids": ids[at : at + _RECORDED_AT_ONCE]})


_OF_SOURCE = "{0}.workspace_id = CAST(:workspace_id AS uuid) AND {0}.provider = :provider AND {0}.livemode = :livemode"


def _offered(amount: str) -> str:
    """What an option names, in SQL; nothing where the price no longer has it: its row tells whose amounts to forget."""
    return f"CASE WHEN option.deleted_at IS NULL AND price.deleted_at IS NULL THEN option.{amount} END"


_HAS_OPTIONS = (
    f"SELECT EXISTS (SELECT FROM {PAYMENTS_SCHEMA}.price_currency_options AS option "
    f"JOIN {PAYMENTS_SCHEMA}.prices AS price ON {_OF_SOURCE.format('price')} AND price.id = option.price_id "
    f"WHERE {_OF_SOURCE.format('option')} AND option.currency <> price.currency)"
)

_SETTLE = f"""
UPDATE {PAYMENTS_SCHEMA}.subscription_items AS item
SET unit_amount = known.unit_amount, unit_amount_decimal = known.unit_amount_decimal, synced_at = now()
FROM (
    SELECT price.id AS price_id, option.currency, {_offered("unit_amount")} AS unit_amount,
        {_offered("unit_amount_decimal")} AS unit_amount_decimal
    FROM {PAYMENTS_SCHEMA}.prices AS price
    JOIN {PAYMENTS_SCHEMA}.price_currency_options AS option
        ON {_OF_SOURCE.format("option")} AND option.price_id = price.id
    WHERE {_OF_SOURCE.format("price")} AND option.currency <> price.currency
) AS known
WHERE {_OF_SOURCE.format("item")} AND item.deleted_at IS NULL
AND item.price_id = known.price_id AND item.currency = known.currency
AND (item.unit_amount, item.unit_amount_decimal) IS DISTINCT FROM (known.unit_amount, known.unit_amount_decimal)
RETURNING item.subscription_id, (
    -- The row as it was when the statement began.
    SELECT was.synced_at < :since FROM {PAYMENTS_SCHEMA}.subscription_items AS was
    WHERE (was.workspace_id, was.provider, was.livemode, was.id, was.subscription_id, was.occurrence)
        = (item.workspace_id, item.provider, item.livemode, item.id, item.subscription_id, item.occurrence)
) AS was_older
"""

_SETTLE_SOME = f"""
UPDATE {PAYMENTS_SCHEMA}.subscription_items AS item
SET unit_amount = {_offered("unit_amount")}, unit_amount_decimal = {_offered("unit_amount_decimal")}, synced_at = now()
FROM {PAYMENTS_SCHEMA}.price_currency_options AS option, {PAYMENTS_SCHEMA}.prices AS price
WHERE {_OF_SOURCE.format("item")} AND item.deleted_at IS NULL AND item.subscription_id = ANY (:ids)
AND {_OF_SOURCE.format("option")} AND option.price_id = item.price_id AND option.currency = item.currency
AND {_OF_SOURCE.format("price")} AND price.id = item.price_id AND price.currency <> option.currency
AND (item.unit_amount, item.unit_amount_decimal)
    IS DISTINCT FROM ({_offered("unit_amount")}, {_offered("unit_amount_decimal")})
RETURNING item.subscription_id
"""

_RECORD = f"""
SELECT {PAYMENTS_SCHEMA}.record_subscriptions(
    array_agg(CAST(:workspace_id AS uuid)), array_agg(CAST(:provider AS text)), array_agg(CAST(:livemode AS boolean)),
    array_agg(id), 'settled'
)
FROM unnest(CAST(:ids AS text[])) AS id
"""
