"""Whatever a provider put into one object, the figures of all the others are built, and every view answers."""

from collections.abc import Iterable
from typing import Any

import orjson
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from cyphera_pipelines.model.columns import Kind
from cyphera_pipelines.model.json_text import to_json
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import synced_tables
from cyphera_pipelines.store.views.definitions import LIVE_SCHEMA, functions, views
from cyphera_pipelines_tests.figures.account import NOW, START, SYNCED, Account, on
from cyphera_pipelines_tests.hostile.odd_values import ODD_VALUES, paths_in, replaced

Place = tuple[str, str]
Odd = tuple[Place, Any]

_AMOUNTS = [{"amount": 5, "discount": "di", "tax_behavior": "inclusive", "inclusive": True}]
_TIERS = [
    {"up_to": 5, "unit_amount": 7, "unit_amount_decimal": "7.5", "flat_amount": None, "flat_amount_decimal": None},
    {"up_to": None, "unit_amount": 3, "unit_amount_decimal": "3", "flat_amount": 9, "flat_amount_decimal": "9"},
]
_AS_SENT: dict[Place, Any] = {
    ("customer_discounts", "product_ids"): ["prod"],
    ("subscription_discounts", "product_ids"): ["prod"],
    ("price_currency_options", "tiers"): _TIERS,
    ("invoice_line_items", "discount_amounts"): _AMOUNTS,
    ("invoice_line_items", "taxes"): _AMOUNTS,
    ("products", "raw"): {"metered": True},
}
"""JSON that figures and views look into, as providers send it. Of all other columns nobody asks what they hold."""
_ODD: dict[Kind, Iterable[Any]] = {
    Kind.TEXT: ("", "fortnight", "NaN", "1 day; 2 days", "x" * 200),
    Kind.INTEGER: (0, -1, 2**63 - 1, -(2**63)),
    Kind.NUMERIC: ("0", "-1", "1e400", "1e-400", "9" * 70),
    Kind.BOOLEAN: (True, False),
    Kind.TIMESTAMP: (on(1, year=1), on(1, year=1970), on(1, year=9999)),
}
_FORMS = [(place, path) for place, sent in _AS_SENT.items() for path in paths_in(sent)]
_KEPT = {"subscription_id", "customer_id", "invoice_id", "price_id", "product_id", "parent_type"}
"""What ties the rows together: without it nothing would be counted."""


def _stored(value: Any) -> Any:
    """As the loader would have it; what it cannot write at all never comes here."""
    try:
        return orjson.loads(to_json(storable(value)))
    except (TypeError, ValueError, RecursionError):
        assume(False)


@st.composite
def _odd_json(draw: st.DrawFn) -> Odd:
    place, path = draw(st.sampled_from(_FORMS))
    return place, _stored(replaced(_AS_SENT[place], path, draw(ODD_VALUES)))


@st.composite
def _odd_value(draw: st.DrawFn) -> Odd:
    name = draw(st.sampled_from(sorted(SYNCED_TABLES)))
    known = [column for column in SYNCED_TABLES[name].columns if column.name not in _KEPT]
    column = draw(st.sampled_from(known))
    if column.kind is Kind.JSON:
        return (name, column.name), _stored(draw(ODD_VALUES))
    return (name, column.name), draw(st.sampled_from(list(_ODD[column.kind])))


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(odd=st.lists(_odd_json() | _odd_value(), min_size=15, max_size=30))
def test_the_rest_is_counted_and_every_view_answers(database: Database, odd: list[Odd]) -> None:
    account = Account(database, is_bulk=True)
    for number, (place, value) in enumerate([(("customers", "name"), "Even"), *odd]):
        _add(account, number, place, value)
    account.flush()
    account.build()
    assert account.mrr()[("cus_0", "usd")] == 8_000
    with database.tenant(account.source.workspace_id) as connection:
        for view in views():
            if view.schema == LIVE_SCHEMA:
                connection.execute(text(f"SELECT count(*), count(shown) FROM {view.full_name} AS shown"))
        for function in functions():
            if function.schema == LIVE_SCHEMA:
                connection.execute(text(f"SELECT * FROM {LIVE_SCHEMA}.{function.name}(:on)"), {"on": NOW.date()})


def _add(account: Account, number: int, place: Place, value: Any) -> None:
    """A customer with all that there may be, of which one thing is odd."""
    own = {"created": START, "currency": "usd"}
    discount = {"kind": "percent", "percent_off": "20", "duration": "forever", "position": 0, "product_ids": ["prod"]}
    sub, cus, price, product, invoice = (f"{name}_{number}" for name in ("sub", "cus", "price", "prod", "in"))
    rows: list[tuple[str, dict[str, Any]]] = [
        ("customer_discounts", discount | {"id": f"di_{cus}", "customer_id": cus}),
        ("customer_tax_ids", {"id": f"txi_{number}", "customer_id": cus, "type": "eu_vat", "value": "DE1"}),
        ("customers", own | {"id": cus}),
        ("products", {"id": product, "created": START}),
        ("price_tiers", {"id": f"{price}:0", "price_id": price, "tier_index": 0, "unit_amount": 10_000}),
        ("price_currency_options", {"id": f"{price}:eur", "price_id": price, "currency": "eur", "tiers": _TIERS}),
        (
            "prices",
            own
            | {
                "id": price,
                "product_id": product,
                "type": "recurring",
                "billing_scheme": "tiered",
                "tiers_mode": "graduated",
                "recurring_interval": "month",
                "recurring_interval_count": 1,
                "recurring_usage_type": "licensed",
            },
        ),
    ]
    for currency in ("usd", "eur"):
        name = f"{sub}_{currency}"
        tied = {"subscription_id": name, "price_id": price, "product_id": product, "currency": currency}
        billed = invoice + currency
        rows += [
            ("subscription_items", tied | {"id": f"si_{name}", "quantity": 1}),
            ("subscription_discounts", discount | {"id": f"di_{name}", "subscription_id": name, "product_ids": None}),
            (
                "subscription_tax_rates",
                {"id": f"txr_{name}", "subscription_id": name, "percentage": "20", "inclusive": False},
            ),
            (
                "subscriptions",
                {
                    "id": name,
                    "created": START,
                    "start_date": START,
                    "customer_id": cus,
                    "currency": currency,
                    "status": "active",
                },
            ),
            (
                "invoice_line_items",
                tied
                | {
                    "id": f"il_{name}",
                    "invoice_id": billed,
                    "line_index": 0,
                    "amount": 9_000,
                    "quantity": 1,
                    "subscription_item_id": f"si_{name}",
                    "parent_type": "subscription_item_details",
                    "period_start": on(2, year=2025),
                    "period_end": on(3, year=2025),
                    "discount_amounts": _AMOUNTS,
                    "taxes": _AMOUNTS,
                },
            ),
            ("invoice_discounts", discount | {"id": f"di_{billed}", "invoice_id": billed, "discounted": 5}),
            (
                "invoice_payments",
                {"id": f"inpay_{billed}", "invoice_id": billed, "status": "paid", "amount_paid": 9_000},
            ),
            (
                "invoices",
                {
                    "id": billed,
                    "created": on(2, year=2025),
                    "customer_id": cus,
                    "currency": currency,
                    "status": "open",
                    "amount_remaining": 9_000,
                    "amount_due": 9_000,
                },
            ),
        ]
    for table, row in rows:
        account.insert(synced_tables[table], [row | SYNCED | ({place[1]: value} if table == place[0] else {})])
