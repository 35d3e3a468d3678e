"""What a report shows of a workspace: read from the views, one section for each source and currency."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd

from cyphera_pipelines.analytics.report import charts
from cyphera_pipelines.analytics.workspace import Workspace
from cyphera_pipelines.model.currencies import exponent_of
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.store.completeness import Completeness, EntityCompleteness

MONTHS, COHORTS, TOP = 24, 12, 10
"""How many of the latest months and cohorts are shown, and of the largest customers and products."""
MOST_DRAWN = 6
"""Currencies of one source that have charts; of others there are tables alone, so that the page stays small."""
MOVED = {
    "new": "new_mrr",
    "reactivation": "reactivation_mrr",
    "expansion": "expansion_mrr",
    "contraction": "contraction_mrr",
    "churn": "churned_mrr",
}
NONE = "–"


@dataclass(frozen=True)
class Table:
    """Cells are texts for people; columns after `texts` hold numbers. `shares` are bars' lengths, from 0 to 1."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Part:
    """A part of a section: a chart with its table behind it, or a table alone. `note` says what to know of it."""

    title: str
    note: str
    table: Table
    svg: str | None = None


@dataclass(frozen=True)
class Figure:
    """A number at the top of a section, and what it is compared with."""

    label: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Section:
    """One source's figures in one currency."""

    provider: str
    currency: str
    figures: tuple[Figure, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class SourceState:
    """How complete a source is. `missing` says why there are no figures, where there are none."""

    provider: str
    sentences: tuple[str, ...]
    missing: str | None
    entities: tuple[EntityCompleteness, ...]


@dataclass(frozen=True)
class Report:
    """All that the page shows."""

    workspace: str
    slug: str
    is_test_mode: bool
    made_at: datetime
    sources: tuple[SourceState, ...]
    sections: tuple[Section, ...]


def read_report(
    workspace: Workspace,
    completeness: Completeness,
    *,
    provider: str | None = None,
    currency: str | None = None,
    names: bool = True,
) -> Report:
    """Read what the report shows; of that provider and currency, or of all. `names`: with the customers' names.

    The sources of which there are no figures are named, with the reason.
    """
    providers = [each for each in completeness.providers if provider in (None, each)]
    sections: list[Section] = []
    for each in providers:
        if each in completeness.available:
            source = _Source(workspace, completeness, each, names=names)
            sections += source.sections(currency)
    return Report(
        workspace=completeness.workspace.name,
        slug=completeness.workspace.slug,
        is_test_mode=completeness.is_test_mode,
        made_at=datetime.now(UTC),
        sources=tuple(
            SourceState(
                each,
                tuple(completeness.sentences(each)),
                completeness.missing_because(each),
                completeness.of(each),
            )
            for each in providers
        ),
        sections=tuple(sections),
    )


class _Source:
    """One source of the report, and its frames, each read once for all currencies."""

    def __init__(self, workspace: Workspace, completeness: Completeness, provider: str, *, names: bool) -> None:
        self._workspace = workspace
        self._provider = provider
        self._test_mode = completeness.is_test_mode
        self._names = names
        self._no_revenue = completeness.revenue_missing_because(provider)
        self._is_listed = {each.entity: each.state != "never_synced" for each in completeness.of(provider)}

    def sections(self, currency: str | None) -> Iterable[Section]:
        summary = self._view("mrr_summary").sort_values("month")
        cohorts, aging = (self._view(name) for name in ("subscriber_cohorts", "invoice_aging"))
        products = None if self._no_revenue is not None else self._view("product_revenue")
        customers = self._workspace.mrr("customer", provider=self._provider, test_mode=self._test_mode)
        largest = summary.groupby("currency", observed=True)["active_customers"].last().sort_values(ascending=False)
        for place, code in enumerate(str(each) for each in largest.index):
            if currency is not None and code != currency.lower():
                continue
            is_drawn = place < MOST_DRAWN or currency is not None
            months = summary[summary["currency"] == code].tail(MONTHS)
            money = _Money(self._provider, code)
            parts = [
                *_about_months(months, money, is_drawn=is_drawn),
                *_about_cohorts(cohorts[cohorts["currency"] == code], is_drawn=is_drawn),
                *self._about_invoices(aging[aging["currency"] == code], money, is_drawn=is_drawn),
                self._top_customers(customers[customers["currency"] == code], money),
                *self._top_products(products, code, money),
            ]
            yield Section(self._provider, code, _headline(months.iloc[-1], money), tuple(parts))

    def _view(self, name: str) -> pd.DataFrame:
        return self._workspace.view(name, where={"provider": self._provider}, test_mode=self._test_mode)

    def _about_invoices(self, aging: pd.DataFrame, money: "_Money", *, is_drawn: bool) -> Iterable[Part]:
        title, note = "Open invoices by age", "What remains to be paid now, by how long it has been due."
        if not self._is_listed[Entity.INVOICES]:
            yield Part(title, "Not available: the invoices were never synced to their end.", Table((), ()))
            return
        if aging.empty:
            yield Part(title, "There are no invoices in this currency.", Table((), ()))
            return
        rows = aging.sort_values("bucket_number")
        table = Table(
            ("Due", "Invoices", "Remaining", "Given up"),
            tuple(
                (str(row.bucket), f"{row.invoices:,}", money.text(row.remaining), money.text(row.uncollectible))
                for row in rows.itertuples()
            ),
        )
        values = [float(value) for value in rows["remaining"]]
        drawn = pd.DataFrame({"bucket": rows["bucket"].astype(str), "place": rows["bucket_number"], "value": values})
        yield Part(title, note, table, charts.aging(drawn) if is_drawn and any(values) else None)

    def _top_customers(self, customers: pd.DataFrame, money: "_Money") -> Part:
        largest = customers.sort_values("mrr", ascending=False, kind="stable").head(TOP)
        named = {}
        if self._names and len(largest):
            rows = self._workspace.view(
                "customers",
                columns=["id", "name"],
                where={"provider": self._provider, "id": list(largest["customer_id"])},
                test_mode=self._test_mode,
            )
            named = dict(zip(rows["id"], rows["name"], strict=True))
        whole = sum(customers["mrr"], Decimal(0))
        shares = tuple(float(mrr / whole) for mrr in largest["mrr"])
        table = Table(
            ("Customer", *(("Name",) if self._names else ()), "MRR", "Share"),
            tuple(
                (
                    row.customer_id,
                    *((_known(named.get(row.customer_id)),) if self._names else ()),
                    money.text(row.mrr),
                    f"{share:.1%}",
                )
                for row, share in zip(largest.itertuples(), shares, strict=True)
            ),
            texts=2 if self._names else 1,
            shares=shares,
        )
        return Part("Largest customers", f"Of {len(customers):,} with MRR now.", table)

    def _top_products(self, products: pd.DataFrame | None, code: str, money: "_Money") -> Iterable[Part]:
        title = "Largest products"
        if not self._is_listed[Entity.INVOICES]:
            yield Part(title, "Not available: the invoices were never synced to their end.", Table((), ()))
            return
        if products is None:
            yield Part(title, self._no_revenue or "", Table((), ()))
            return
        since = pd.Timestamp(datetime.now(UTC).date().replace(day=1)) - pd.DateOffset(months=11)
        lately = products[(products["currency"] == code) & (products["month"] >= since)]
        billed: dict[str, Decimal] = {}
        names: dict[str, str] = {}
        for row in lately.itertuples():
            key = _known(row.product_id, "without a product")
            billed[key] = billed.get(key, Decimal(0)) + row.revenue
            names[key] = _known(row.product_name)
        largest = sorted(billed.items(), key=lambda each: each[1], reverse=True)[:TOP]
        whole = sum(billed.values())
        shares = tuple(float(revenue / whole) if whole > 0 else 0.0 for _key, revenue in largest)
        table = Table(
            ("Product", "Name", "Billed", "Share"),
            tuple(
                (key, names[key], money.text(revenue), f"{share:.1%}")
                for (key, revenue), share in zip(largest, shares, strict=True)
            ),
            texts=2,
            shares=tuple(max(0.0, share) for share in shares),
        )
        yield Part(title, "By what was billed in the last twelve months, after discounts and without tax.", table)


class _Money:
    """Amounts of one currency, as people read them."""

    def __init__(self, provider: str, currency: str) -> None:
        exponent = exponent_of(provider, currency)
        self._unit = None if exponent is None else Decimal(1).scaleb(-exponent)

    def text(self, amount: Decimal | None) -> str:
        if amount is None or pd.isna(amount):
            return NONE
        return f"{amount if self._unit is None else amount.quantize(self._unit):,f}"


def _headline(month: pd.Series, money: _Money) -> tuple[Figure, ...]:
    growth, name = month["growth_rate"], f"{month['month']:%B %Y}"
    remark = f"from 0 when {name} began" if pd.isna(growth) else f"{growth:+.1%} so far in {name}"
    return (
        Figure("MRR", money.text(month["closing_mrr"]), remark),
        Figure("ARR", money.text(month["arr"]), "12 times MRR"),
        Figure("Customers", f"{month['active_customers']:,}", "with MRR"),
        Figure("Subscriptions", f"{month['active_subscriptions']:,}", "with MRR"),
        Figure("At risk", money.text(month["at_risk_mrr"]), "past due"),
    )


def _about_months(months: pd.DataFrame, money: _Money, *, is_drawn: bool) -> Iterable[Part]:
    named = [f"{month:%Y-%m}" for month in months["month"]]
    columns = ("opening_mrr", *MOVED.values(), "closing_mrr")
    table = Table(
        ("Month", "Opening", *(each.capitalize() for each in MOVED), "Closing"),
        _rows(named, *([money.text(value) for value in months[column]] for column in columns)),
    )
    closing = pd.DataFrame({"month": months["month"], "value": months["closing_mrr"].astype(float)})
    pieces = [
        pd.DataFrame(
            {"month": months["month"], "movement": movement, "place": place, "value": months[column].astype(float)}
        )
        for place, (movement, column) in enumerate(MOVED.items())
    ]
    moved = pd.concat(pieces, ignore_index=True)
    yield Part(
        "MRR",
        "Monthly recurring revenue at the end of each month; the present one so far.",
        Table(("Month", "MRR"), _rows(named, [money.text(value) for value in months["closing_mrr"]])),
        charts.mrr(closing) if is_drawn else None,
    )
    yield Part(
        "MRR by movement",
        "What new and returning customers, and changes, brought or took in each month.",
        table,
        charts.movements(moved[moved["value"] != 0]) if is_drawn and (moved["value"] != 0).any() else None,
    )
    active = _series(months, {"subscriptions": "active_subscriptions", "customers": "active_customers"})
    yield Part(
        "Active subscriptions and customers",
        "With MRR at the end of each month.",
        Table(
            ("Month", "Subscriptions", "Customers"),
            _rows(
                named,
                *([f"{value:,}" for value in months[f"active_{each}"]] for each in ("subscriptions", "customers")),
            ),
        ),
        charts.lines(active, {"subscriptions": "accent", "customers": "new"}, is_share=False) if is_drawn else None,
    )
    churn = _series(months, {"of customers": "subscriber_churn_rate", "of revenue": "revenue_churn_rate"})
    rates = ("subscriber_churn_rate", "revenue_churn_rate", "net_revenue_retention", "gross_revenue_retention")
    yield Part(
        "Churn",
        "Of customers: who left, of those there were and who came. Of revenue: what contraction and churn took of the "
        "month's opening.",
        Table(
            ("Month", "Of customers", "Of revenue", "NRR", "GRR"),
            _rows(named, *([_share(value) for value in months[column]] for column in rates)),
        ),
        charts.lines(churn, {"of customers": "churn", "of revenue": "contraction"}, is_share=True)
        if is_drawn and len(churn)
        else None,
    )


def _about_cohorts(cohorts: pd.DataFrame, *, is_drawn: bool) -> Iterable[Part]:
    shown = cohorts[cohorts["months_since"] < COHORTS]
    latest = sorted(shown["cohort_month"].unique())[-COHORTS:]
    shown = shown[shown["cohort_month"].isin(latest)].sort_values(["cohort_month", "months_since"])
    drawn = pd.DataFrame(
        {
            "cohort": shown["cohort_month"].dt.strftime("%Y-%m"),
            "months_since": shown["months_since"].astype(int),
            "share": shown["customer_retention"].astype(float),
            "label": [f"{value:.0%}" for value in shown["customer_retention"]],
        }
    )
    table = Table(
        ("Began in", "Months since", "Customers", "Still there", "Share", "Of revenue"),
        tuple(
            (
                f"{row.cohort_month:%Y-%m}",
                f"{row.months_since}",
                f"{row.cohort_customers:,}",
                f"{row.active_customers:,}",
                _share(row.customer_retention),
                _share(row.mrr_retention),
            )
            for row in shown.itertuples()
        ),
    )
    yield Part(
        "Cohorts",
        f"Of the customers who began in a month, the share that has MRR months later; the latest {COHORTS} cohorts.",
        table,
        charts.cohorts(drawn) if is_drawn and len(drawn) else None,
    )


def _series(months: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    pieces = [
        pd.DataFrame({"month": months["month"], "series": name, "value": months[column].astype(float)})
        for name, column in columns.items()
    ]
    return pd.concat(pieces, ignore_index=True).dropna()


def _rows(*columns: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(zip(*columns, strict=True))


def _share(value: Decimal | None) -> str:
    return NONE if value is None or pd.isna(value) else f"{value:.1%}"


def _known(value: object, otherwise: str = NONE) -> str:
    return otherwise if value is None or pd.isna(value) else str(value)
