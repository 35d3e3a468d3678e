"""An account whose rows are written straight into the tables, and what its figures come to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, select, text

from cyphera_pipelines.figures.build import BuildResult, build_figures
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import synced_tables
from cyphera_pipelines.store.tables.figures import mrr_movements, subscription_mrr
from cyphera_pipelines.store.tables.history import customer_discount_history, subscription_history
from cyphera_pipelines_tests.conftest import new_workspace

START = datetime(2026, 1, 10, tzinfo=UTC)
NOW = datetime(2026, 7, 1, tzinfo=UTC)
_numbers = count(1)


def on(month: int, day: int = 1, hour: int = 0, *, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def price(unit_amount: Any = 10_000, interval: str = "month", n: int = 1, **terms: Any) -> dict[str, Any]:
    """A price as the history holds it; `tiers` as (up_to, unit amount, flat amount)."""
    tiers = terms.pop("tiers", None)
    known = {
        "currency": terms.pop("currency", "usd"),
        "unit_amount_decimal": None if tiers or unit_amount is None else str(unit_amount),
        "billing_scheme": "tiered" if tiers else "per_unit",
        "tiers_mode": None,
        "type": "recurring",
        "recurring_interval": interval,
        "recurring_interval_count": n,
        "recurring_usage_type": "licensed",
        "transform_quantity_divide_by": None,
        "transform_quantity_round": None,
        "tax_behavior": "unspecified",
        "tiers": None
        if tiers is None
        else [
            {"up_to": up_to, "unit_amount_decimal": _text(unit), "flat_amount_decimal": _text(flat)}
            for up_to, unit, flat in tiers
        ],
    }
    return known | terms


def item(
    item_id: str = "si_1", quantity: int | None = 1, of: dict[str, Any] | None = None, **told: Any
) -> dict[str, Any]:
    of = price() if of is None and "price" not in told else of
    known = {
        "id": item_id,
        "occurrence": 0,
        "price_id": f"price_{item_id}",
        "product_id": "prod_1",
        "currency": of["currency"] if of else "usd",
        "unit_amount_decimal": of["unit_amount_decimal"] if of else None,
        "quantity": quantity,
        "created": None,
        "current_period_start": None,
        "current_period_end": None,
        "price": of,
    }
    return known | told


def percent(off: Any, **terms: Any) -> dict[str, Any]:
    return _discount(kind="percent", percent_off=str(off), **terms)


def amount(off: int, currency: str = "usd", **terms: Any) -> dict[str, Any]:
    return _discount(kind="amount", amount_off=off, currency=currency, **terms)


def _discount(**terms: Any) -> dict[str, Any]:
    number = next(_numbers)
    known = {
        "id": f"di_{number}",
        "subscription_item_id": None,
        "position": number,
        "coupon_id": f"coupon_{number}",
        "kind": None,
        "percent_off": None,
        "amount_off": None,
        "currency": None,
        "duration": "forever",
        "duration_in_months": None,
        "starts_at": None,
        "ends_at": None,
        "product_ids": None,
    }
    moments = {name: seconds(terms.pop(name)) for name in ("starts_at", "ends_at") if name in terms}
    return known | terms | moments


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


@dataclass
class Account:
    """One source's rows of live mode."""

    database: Database
    provider: str = "stripe"
    workspace: Workspace = None  # type: ignore[assignment]
    source: Source = field(init=False)
    states: list[dict[str, Any]] = field(default_factory=list)
    customer_states: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    is_bulk: bool = False
    """Whether rows are only written by `flush`."""
    _waiting: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)
    _began: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        workspace = self.workspace = self.workspace or new_workspace(self.database)
        self.source = Source(workspace.id, workspace.slug, self.provider, uuid4(), is_test_mode=False)

    @property
    def key(self) -> dict[str, Any]:
        return {"workspace_id": self.source.workspace_id, "provider": self.provider, "livemode": True}

    def state(
        self, items: Sequence[dict[str, Any]] | None = None, at: datetime = START, *, sub: str = "sub_1", **told: Any
    ) -> None:
        """A state that the provider held at that moment; the subscription began then, unless told otherwise."""
        began = self._began.get(sub, at)
        state = {
            "subscription_id": sub,
            "held_at": at,
            "customer_id": "cus_1",
            "status": "active",
            "currency": (items or [item()])[0]["currency"],
            "created": began,
            "start_date": began,
            "items": [item()] if items is None else list(items),
            "discounts": [],
            "tax_rates": [],
        } | told
        self.states.append(state)
        self._began.setdefault(sub, state["start_date"])
        self.insert_state(state)

    def insert_state(self, state: dict[str, Any]) -> None:
        self.insert(subscription_history, [state])

    def insert_current(self) -> None:
        """Each subscription's own rows of its last state so far, as a sync has them beside the history."""
        latest = {state["subscription_id"]: state for state in sorted(self.states, key=lambda each: each["held_at"])}
        subscriptions, rows = synced_tables["subscriptions"], dict[str, list[dict[str, Any]]]()
        for name, state in latest.items():
            columns = {column: value for column, value in state.items() if column in subscriptions.c}
            rows.setdefault("subscriptions", []).append(columns | {"id": name, "discounts": None})
            for table_name, children in (
                ("subscription_items", state["items"]),
                ("subscription_discounts", state["discounts"]),
            ):
                known = synced_tables[table_name].c
                for child in children:
                    own = {column: value for column, value in child.items() if column in known}
                    told = {at: datetime.fromtimestamp(own[at], UTC) for at in _TIMES if own.get(at) is not None}
                    rows.setdefault(table_name, []).append(own | told | {"subscription_id": name})
        with self.database.tenant(self.source.workspace_id) as connection:
            for table_name, of_table in rows.items():
                named = {column for row in of_table for column in row}
                values = [dict.fromkeys(named) | self.key | row | SYNCED for row in of_table]
                connection.execute(insert(synced_tables[table_name]), values)
            # Writing them wrote a state each; the states are given.
            connection.execute(text("DELETE FROM payments.subscription_history"))
        for state in self.states:
            self.insert_state(state)
        self.flush()

    def customer_state(self, discounts: list[dict[str, Any]], at: datetime = START, *, customer: str = "cus_1") -> None:
        state = {"customer_id": customer, "held_at": at, "discounts": discounts}
        self.customer_states.append(state)
        self.insert(customer_discount_history, [state])

    def line(
        self,
        line_amount: int,
        start: datetime,
        end: datetime,
        *,
        sub: str = "sub_1",
        of: str = "si_1",
        status: str = "paid",
        **told: Any,
    ) -> str:
        """An invoice with that line. Returns the invoice's id."""
        number = next(_numbers)
        invoice = {"id": f"in_{number}", "created": start, "subscription_id": sub, "status": status, "currency": "usd"}
        values: dict[str, Any] = {
            "id": f"il_{number}",
            "invoice_id": f"in_{number}",
            "line_index": 0,
            "amount": line_amount,
            "currency": "usd",
            "quantity": 1,
            "price_id": f"price_{of}",
            "parent_type": "subscription_item_details",
            "subscription_id": sub,
            "subscription_item_id": of,
            "proration": False,
            "period_start": start,
            "period_end": end,
        } | told
        self.lines.append(dict(values))
        known = values.pop("price", None)
        if known is not None:
            self._price_of_line(values["price_id"], known)
        self.insert(synced_tables["invoices"], [invoice | SYNCED])
        self.insert(synced_tables["invoice_line_items"], [values | SYNCED])
        return f"in_{number}"

    def insert_credit(self, invoice_id: str) -> None:
        """The invoice was credited whole after it had been paid."""
        with self.database.tenant(self.source.workspace_id) as connection:
            connection.execute(
                text("UPDATE payments.invoices SET post_payment_credit_notes_amount = 10000 WHERE id = :id"),
                {"id": invoice_id},
            )

    def price(
        self, price_id: str = "price_si_1", unit_amount: int = 10_000, interval: str = "month", **told: Any
    ) -> None:
        values = {
            "id": price_id,
            "created": START,
            "product_id": "prod_1",
            "currency": "usd",
            "unit_amount_decimal": unit_amount,
            "billing_scheme": "per_unit",
            "type": "recurring",
            "recurring_interval": interval,
            "recurring_interval_count": 1,
            "recurring_usage_type": "licensed",
        } | told
        self.insert(synced_tables["prices"], [values | SYNCED])

    def product(self, product_id: str, raw: dict[str, Any]) -> None:
        self.insert(synced_tables["products"], [{"id": product_id, "raw": raw} | SYNCED])

    def _price_of_line(self, price_id: str, known: dict[str, Any]) -> None:
        """Bills have no price of their own: what the price is now tells its interval."""
        waiting = self._waiting.setdefault(synced_tables["prices"], [])
        if all(each["id"] != price_id for each in waiting):
            terms = {name: value for name, value in known.items() if name != "tiers"}
            waiting.append(self.key | terms | {"id": price_id, "created": START, "product_id": "prod_1"} | SYNCED)

    def insert(self, table: Any, rows: Iterable[dict[str, Any]]) -> None:
        self._waiting.setdefault(table, []).extend(self.key | row for row in rows)
        if not self.is_bulk:
            self.flush()

    def forget_waiting(self, table: Any) -> None:
        self._waiting.pop(table, None)

    def flush(self) -> None:
        """Write what waits."""
        with self.database.tenant(self.source.workspace_id) as connection:
            for table, rows in self._waiting.items():
                if not rows:
                    continue
                named = {name for row in rows for name in row}
                connection.execute(insert(table), [dict.fromkeys(named) | row for row in rows])
        self._waiting.clear()

    def build(self, as_of: datetime = NOW, *, full: bool = False) -> BuildResult:
        return build_figures(self.database, self.source, livemode=True, as_of=as_of, full=full)

    def rows(self, *, sub: str | None = None) -> list[Any]:
        columns = subscription_mrr.c
        wanted = select(subscription_mrr).where(columns.workspace_id == self.source.workspace_id)
        if sub is not None:
            wanted = wanted.where(columns.subscription_id == sub)
        with self.database.tenant(self.source.workspace_id) as connection:
            ordered = wanted.order_by(columns.subscription_id, columns.item_id, columns.occurrence, columns.valid_from)
            return list(connection.execute(ordered))

    def mrr(self, at: datetime = NOW) -> dict[tuple[str, str], int]:
        """By customer and currency, those of 0 left out."""
        sums = dict[tuple[str, str], int]()
        for row in self.rows():
            if row.mrr and row.valid_from <= at and (row.valid_to is None or at < row.valid_to):
                key = (row.customer_id, row.currency)
                sums[key] = sums.get(key, 0) + row.mrr
        return sums

    def one(self, at: datetime = NOW) -> int:
        """The only customer's MRR in their only currency."""
        return sum(self.mrr(at).values())

    def left_out_by(self, at: datetime = NOW) -> set[str | None]:
        return {
            row.left_out_by
            for row in self.rows()
            if row.valid_from <= at and (row.valid_to is None or at < row.valid_to)
        }

    def movements(self) -> list[tuple[date, str, str, int]]:
        """(day, movement, reason, change), by customer, currency and day."""
        return [(row.day, row.movement, row.reason, row.change) for row in self.movement_rows()]

    def movement_rows(self) -> list[Any]:
        columns = mrr_movements.c
        wanted = select(mrr_movements).where(columns.workspace_id == self.source.workspace_id)
        with self.database.tenant(self.source.workspace_id) as connection:
            return list(connection.execute(wanted.order_by(columns.customer_id, columns.currency, columns.day)))


_TIMES = ("created", "starts_at", "ends_at", "current_period_start", "current_period_end")
SYNCED = {"content_hash": b"", "source_version": START}


def _text(number: Any) -> str | None:
    return None if number is None else str(number)
