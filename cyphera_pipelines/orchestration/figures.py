"""The assets of the figures that are kept: built by one step from a source's tables, and checked.

They are brought in step by the syncs themselves, see `figure_reports`; the job is for people, and for what failed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetSelection,
    AssetSpec,
    Config,
    IdentityPartitionMapping,
    MaterializeResult,
    MetadataValue,
    TableColumn,
    TableColumnConstraints,
    TableSchema,
    define_asset_job,
    in_process_executor,
    multi_asset,
)
from dagster._core.definitions.metadata import RawMetadataValue
from pydantic import Field
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from cyphera_pipelines.figures.all_figures import build_all
from cyphera_pipelines.figures.build import BuildResult
from cyphera_pipelines.figures.revenue import RevenueResult
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.runs import FIGURES_JOB
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import (
    CUSTOMER_DISCOUNTS,
    INVOICE_LINE_ITEMS,
    INVOICES,
    PRICE_CURRENCY_OPTIONS,
    PRICE_TIERS,
    PRICES,
    SUBSCRIPTION_DISCOUNTS,
    SUBSCRIPTION_ITEMS,
    SUBSCRIPTION_TAX_RATES,
    SUBSCRIPTIONS,
)
from cyphera_pipelines.orchestration.asset_specs import OWNER, asset_key
from cyphera_pipelines.orchestration.checks import partitioned_check
from cyphera_pipelines.orchestration.failures import ERROR_CODE, failure, plain_failures
from cyphera_pipelines.orchestration.log_redaction import redact_logs
from cyphera_pipelines.orchestration.partitions import payment_sources, source_key_of
from cyphera_pipelines.orchestration.resources import DatabaseResource
from cyphera_pipelines.orchestration.storage import keep_to_one_connection
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.checks import Finding
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.figure_builds import count_figures, present_mrr
from cyphera_pipelines.store.figure_checks import (
    find_broken_chains,
    find_unlike_months,
    find_unlike_revenue,
    find_unlike_sums,
)
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.tables.figures import mrr_movements, revenue_periods, revenue_tables, subscription_mrr

FIGURES_STEP = "build_payment_figures"
GROUP = "figures"

COUNTED_TABLES = (
    SUBSCRIPTIONS,
    SUBSCRIPTION_ITEMS,
    SUBSCRIPTION_DISCOUNTS,
    SUBSCRIPTION_TAX_RATES,
    CUSTOMER_DISCOUNTS,
    PRICES,
    PRICE_TIERS,
    PRICE_CURRENCY_OPTIONS,
    INVOICE_LINE_ITEMS,
)
"""What figures of subscriptions are made of."""

BILLED_TABLES = (INVOICES, INVOICE_LINE_ITEMS, PRICES)
"""What is kept of revenue is made of these."""

MRR_TABLES = (subscription_mrr, mrr_movements)
FIGURE_TABLES = (*MRR_TABLES, *revenue_tables)


def figures_key(table: Table) -> AssetKey:
    """The asset of a table of figures, as in `figures/mrr_movements`."""
    return AssetKey([str(table.schema), table.name])


def _spec(table: Table, upstream: list[AssetKey]) -> AssetSpec:
    return AssetSpec(
        figures_key(table),
        deps=[AssetDep(key, partition_mapping=IdentityPartitionMapping()) for key in upstream],
        description=f"{table.comment}.",
        metadata={
            "dagster/table_name": table.fullname,
            "dagster/column_schema": MetadataValue.table_schema(_column_schema(table)),
        },
        group_name=GROUP,
        owners=[OWNER],
        kinds={"postgres"},
    )


def _column_schema(table: Table) -> TableSchema:
    return TableSchema(
        columns=[
            TableColumn(
                column.name,
                str(column.type.compile(dialect=postgresql.dialect())).lower(),  # type: ignore[no-untyped-call]
                description=column.comment,
                constraints=TableColumnConstraints(nullable=bool(column.nullable)),
            )
            for column in table.columns
        ]
    )


@dataclass(frozen=True)
class FigureCheck:
    """A question about a source's figures of one mode."""

    name: str
    description: str
    find: Callable[..., Finding]
    table: Table = mrr_movements

    @property
    def key(self) -> AssetCheckKey:
        """The check's key in Dagster."""
        return AssetCheckKey(figures_key(self.table), self.name)


FIGURE_CHECKS = (
    FigureCheck(
        "movements_add_up",
        "Each day of a customer opens as the last one closed, and moves by the difference: so the movements of any "
        "time add up. A finding means that the figures were written by others than a build: build them with `full`.",
        find_broken_chains,
    ),
    FigureCheck(
        "customers_add_up",
        "What each customer's last movement closes at is what their subscriptions' items come to, so that customers "
        "and items have one sum. A finding means that a build was not whole: build the figures with `full`.",
        find_unlike_sums,
    ),
    FigureCheck(
        "months_add_up",
        "The movements by month, which analysts read, add up to those by day, by currency. The samples are months.",
        find_unlike_months,
    ),
    FigureCheck(
        "revenue_adds_up",
        "What of invoices is recognized, written off and deferred adds up to their lines, and so does what was billed "
        "for products, by currency and month. A finding means that what is kept is not of these lines: build the "
        "figures with `full`.",
        find_unlike_revenue,
        revenue_periods,
    ),
)


class BuildConfig(Config):
    """How to build."""

    full: bool = Field(
        default=False, description="Count everything anew, and not only what changed since the last build."
    )


@multi_asset(
    name=FIGURES_STEP,
    specs=[
        _spec(subscription_mrr, [asset_key(table) for table in COUNTED_TABLES]),
        _spec(mrr_movements, [figures_key(subscription_mrr)]),
        *(_spec(table, [asset_key(billed) for billed in BILLED_TABLES]) for table in revenue_tables),
    ],
    check_specs=[partitioned_check(check.key, check.description) for check in FIGURE_CHECKS],
    partitions_def=payment_sources,
)
def payment_figures(
    context: AssetExecutionContext, config: BuildConfig, database: DatabaseResource
) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
    """Bring the figures of the run's source in step with its tables, and check that they add up."""
    redact_logs(context.log)
    keep_to_one_connection(context.instance)
    source_key = source_key_of(context.run)
    if source_key is None:
        raise failure(
            "This run has no partition key, so there is no source to count. Choose one source in 'Materialize', or "
            "several with a run for each, or build from the command line, as in: cyphera figures build acme stripe",
            {ERROR_CODE: ErrorCode.INVALID_REQUEST.value},
        )
    with plain_failures({"source": source_key}):
        source = find_source(database.open(), source_key)
        livemode = not source.is_test_mode
        built, revenue = build_all(database.open(), source, livemode=livemode, full=config.full)
        shown = metadata_of(database.open(), source, built) | metadata_of_revenue(database.open(), source, revenue)
        for key, metadata in shown.items():
            yield MaterializeResult(asset_key=key, metadata=metadata)
        yield from check_figures(database.open(), source)


build_figures_job = define_asset_job(
    name=FIGURES_JOB,
    selection=AssetSelection.assets(*(figures_key(table) for table in FIGURE_TABLES)),
    executor_def=in_process_executor,
    description="Brings the figures of one source in step with its tables: choose the source as the partition. Syncs "
    "do it by themselves; this is for what failed, and with `full` for counting everything anew.",
)


def metadata_of(database: Database, source: Source, built: BuildResult) -> dict[AssetKey, dict[str, RawMetadataValue]]:
    """What the materialisations of a build of MRR tell, by asset. Dagster draws the numbers over time."""
    livemode = not source.is_test_mode
    rows = count_figures(database, source, livemode=livemode)
    mrr = present_mrr(database, source, livemode=livemode)
    told: dict[str, RawMetadataValue] = {
        "customers": built.customers,
        "rows_written": built.written,
        "rows_removed": built.removed,
        "was_full": built.was_full,
    }
    by_currency: dict[str, RawMetadataValue] = {f"mrr_{currency}": float(amount) for currency, amount in mrr.items()}
    return {key: {**told, **by_currency, **of_table} for key, of_table in _of_tables(MRR_TABLES, rows).items()}


def metadata_of_revenue(
    database: Database, source: Source, built: RevenueResult
) -> dict[AssetKey, dict[str, RawMetadataValue]]:
    """The same of a build of revenue."""
    rows = count_figures(database, source, livemode=not source.is_test_mode)
    told: dict[str, RawMetadataValue] = {
        "months": built.months,
        "rows_written": built.written,
        "rows_removed": built.removed,
        "was_full": built.was_full,
    }
    return {key: {**told, **of_table} for key, of_table in _of_tables(revenue_tables, rows).items()}


def _of_tables(tables: Iterable[Table], rows: Mapping[str, int]) -> dict[AssetKey, dict[str, RawMetadataValue]]:
    return {
        figures_key(table): {"dagster/table_name": table.fullname, "dagster/partition_row_count": rows[table.name]}
        for table in tables
    }


def check_figures(database: Database, source: Source) -> Iterator[AssetCheckResult]:
    """Ask whether the source's figures add up."""
    for check in FIGURE_CHECKS:
        found = check.find(database, source, livemode=not source.is_test_mode)
        samples = redact("\n".join(found.sample_ids))
        yield AssetCheckResult(
            asset_key=check.key.asset_key,
            check_name=check.name,
            passed=found.count == 0,
            severity=AssetCheckSeverity.WARN,
            description=f"{found.count} found." if found.count else None,
            metadata={"count": found.count, **({"sample_ids": MetadataValue.text(samples)} if samples else {})},
        )
