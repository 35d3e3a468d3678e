"""How a customer's monthly recurring revenue came to be: the steps of `analytics.mrr_explained` at one moment."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches

from sqlalchemy import Connection, text

from cyphera_pipelines.model.errors import InvalidInputError, NotFoundError
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.views.definitions import LIVE_SCHEMA, TEST_SCHEMA

NEIGHBOURS = 50
"""Ids before and behind the one that was asked for, among which those like it are looked for."""


@dataclass(frozen=True)
class Step:
    """One step; amounts in whole units of the item's currency. See the columns of the view."""

    kind: str
    label: str
    rule: str | None
    quantity: Decimal | None
    unit_amount: Decimal | None
    amount: Decimal | None
    result: Decimal | None


@dataclass(frozen=True)
class ExplainedItem:
    """A subscription item at the moment. `mrr` is None where its currency is not known."""

    subscription_id: str
    item_id: str
    currency: str | None
    valid_from: datetime
    valid_to: datetime | None
    provenance: str
    is_estimated: bool
    steps: tuple[Step, ...]

    @property
    def mrr(self) -> Decimal | None:
        """What it brings in a month."""
        return self.steps[-1].result


@dataclass(frozen=True)
class Movement:
    """The last movement of the customer's MRR in that currency, until the moment; amounts in whole units."""

    currency: str
    day: date
    movement: str
    reason: str
    opening: Decimal
    closing: Decimal
    provenance: str


@dataclass(frozen=True)
class ExplainedCustomer:
    """A customer's items and movements at the moment. `name` and `email` are None unless they were asked for."""

    provider: str
    customer_id: str
    at: datetime
    name: str | None
    email: str | None
    items: tuple[ExplainedItem, ...]
    movements: tuple[Movement, ...]

    @property
    def mrr(self) -> dict[str, Decimal]:
        """The sum of what the items bring, by currency; 0 where all of them are left out."""
        sums: dict[str, Decimal] = {}
        for item in self.items:
            if item.currency is not None and item.mrr is not None:
                sums[item.currency] = sums.get(item.currency, item.mrr * 0) + item.mrr
        return dict(sorted(sums.items()))


def end_of(day: date) -> datetime:
    """The moment at which the day ends, in UTC: what holds just before it is the day's closing."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def explain_customer(
    database: Database,
    workspace: Workspace,
    customer: str,
    *,
    is_test_mode: bool,
    provider: str | None = None,
    on: date | None = None,
    personal: bool = False,
) -> ExplainedCustomer:
    """What the customer brings at the end of that day, or now, step by step.

    Raises NotFoundError with ids that are like the one given, or that has the e-mail address given; InvalidInputError
    if several providers have a customer of that id, or for a day to come.
    """
    now = datetime.now(UTC)
    schema = TEST_SCHEMA if is_test_mode else LIVE_SCHEMA
    if on is not None and on > now.date():
        raise InvalidInputError(f"{on} is still to come: what is known to end is in the view {schema}.scheduled_churn.")
    # Whatever begins later today has not begun.
    at = now if on is None or end_of(on) > now else end_of(on) - timedelta(microseconds=1)
    with database.tenant(workspace.id) as connection:
        found = _customer(connection, workspace, customer, is_test_mode=is_test_mode, provider=provider)
        of_customer = {"id": workspace.id, "provider": found.provider, "customer": customer, "at": at}
        return ExplainedCustomer(
            found.provider,
            customer,
            at,
            found.name if personal else None,
            found.email if personal else None,
            _items(connection, schema, of_customer),
            _movements(connection, schema, {**of_customer, "day": at.date()}),
        )


@dataclass(frozen=True)
class _Known:
    provider: str
    name: str | None
    email: str | None


def _customer(
    connection: Connection, workspace: Workspace, customer: str, *, is_test_mode: bool, provider: str | None
) -> _Known:
    values = {"id": workspace.id, "livemode": not is_test_mode, "customer": customer, "provider": provider}
    known = [_Known(*row) for row in connection.execute(_KNOWN, values)]
    if len(known) == 1:
        return known[0]
    if known:
        providers = " and ".join(each.provider for each in known)
        raise InvalidInputError(f"Customer {customer!r} is known at {providers}: choose one with --provider.")
    of_email = (
        [f"{row.id} ({row.provider})" for row in connection.execute(_OF_EMAIL, values)] if "@" in customer else []
    )
    if of_email:
        raise NotFoundError(f"Customers are named by their id. That address is of: {', '.join(of_email)}.")
    near = get_close_matches(customer, list(connection.execute(_NEAR, values).scalars()), n=3, cutoff=0.5)
    at = "" if provider is None else f" at {provider}"
    mode = " in test mode" if is_test_mode else ""
    schema = TEST_SCHEMA if is_test_mode else LIVE_SCHEMA
    hint = f" Ids like it: {', '.join(near)}." if near else f" Ids are in the view {schema}.customers."
    raise NotFoundError(f"Workspace {workspace.slug} has no customer {customer!r}{at}{mode}.{hint}")


def _items(connection: Connection, schema: str, values: dict[str, object]) -> tuple[ExplainedItem, ...]:
    items: dict[tuple[str, str, int], ExplainedItem] = {}
    for row in connection.execute(text(_STEPS.format(schema=schema)), values):
        key = (row.subscription_id, row.item_id, row.occurrence)
        step = Step(row.kind, row.label, row.rule, row.quantity, row.unit_amount, row.amount, row.result)
        before = items[key].steps if key in items else ()
        items[key] = ExplainedItem(
            row.subscription_id,
            row.item_id,
            row.currency,
            row.valid_from,
            row.valid_to,
            row.provenance,
            row.is_estimated,
            (*before, step),
        )
    return tuple(items.values())


def _movements(connection: Connection, schema: str, values: dict[str, object]) -> tuple[Movement, ...]:
    livemode = schema == LIVE_SCHEMA
    return tuple(Movement(*row) for row in connection.execute(_MOVEMENTS, {**values, "livemode": livemode}))


_OF_WORKSPACE = (
    "workspace_id = :id AND livemode = :livemode AND (CAST(:provider AS text) IS NULL OR provider = :provider)"
)
# Deleted customers too: their past has figures. And those of whom nothing else is known: a subscription may outlast its
# customer, who was gone before the first sync.
_KNOWN = text(
    f"""
    SELECT provider, max(name), max(email) FROM (
        SELECT provider, name, email FROM payments.customers WHERE {_OF_WORKSPACE} AND id = :customer
        UNION ALL
        SELECT provider, NULL, NULL FROM figures.subscription_mrr WHERE {_OF_WORKSPACE} AND customer_id = :customer
    ) AS known
    GROUP BY provider ORDER BY provider
    """
)
_OF_EMAIL = text(
    f"SELECT id, provider FROM payments.customers WHERE {_OF_WORKSPACE} AND lower(email) = lower(:customer) LIMIT 5"
)
_NEAR = text(
    f"""
    (SELECT id FROM payments.customers WHERE {_OF_WORKSPACE} AND id >= :customer ORDER BY id LIMIT {NEIGHBOURS})
    UNION
    (SELECT id FROM payments.customers WHERE {_OF_WORKSPACE} AND id < :customer ORDER BY id DESC LIMIT {NEIGHBOURS})
    """
)
_STEPS = """
SELECT * FROM {schema}.mrr_explained
WHERE workspace_id = :id AND provider = :provider AND customer_id = :customer
AND valid_from <= :at AND (valid_to IS NULL OR valid_to > :at)
ORDER BY currency, subscription_id, item_id, occurrence, step
"""
_MOVEMENTS = text(
    """
    SELECT DISTINCT ON (currency) currency, day, movement, reason,
        opening * analytics.unit(provider, currency), closing * analytics.unit(provider, currency), provenance
    FROM figures.mrr_movements
    WHERE workspace_id = :id AND provider = :provider AND livemode = :livemode AND customer_id = :customer
    AND day <= :day
    ORDER BY currency, day DESC
    """
)
