"""Asset checks: whether a source's tables hang together. They warn; they stop nothing."""

import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from dagster import AssetCheckKey, AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, MetadataValue
from dagster_shared.utils.warnings import PreviewWarning

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import REFERENCES, SYNCED_TABLES, Reference
from cyphera_pipelines.orchestration.asset_specs import asset_key
from cyphera_pipelines.orchestration.freshness_checks import DESCRIPTION, FRESHNESS_CHECKS, check_freshness
from cyphera_pipelines.orchestration.partitions import payment_sources
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.checks import Finding, find_gaps, find_orphans, find_unknown_references
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.figure_checks import find_unlike_aging


@dataclass(frozen=True)
class TableCheck:
    """A question about one table, and how to read its answer."""

    table: SyncedTable
    name: str
    description: str
    find: Callable[[Database, Source], Finding]

    @property
    def key(self) -> AssetCheckKey:
        """The check's key in Dagster."""
        return AssetCheckKey(asset_key(self.table), self.name)


def _has_parents(table: SyncedTable) -> TableCheck:
    parent = (table.parent_column or "").removesuffix("_id")
    return TableCheck(
        table,
        f"every_row_has_its_{parent}",
        f"No row without its {parent}: a finding means that a merge was not whole. Sync again with full_sync.",
        lambda database, source: find_orphans(database, source, table),
    )


def _references_are_known(reference: Reference) -> TableCheck:
    table, column, to = reference.table, reference.column, reference.to.name
    return TableCheck(
        table,
        f"{column}_is_known",
        f"Every {column} is in {to}. A finding is usual for objects that were deleted at the provider before the "
        f"first sync, and for {to} that were never synced.",
        lambda database, source: find_unknown_references(database, source, table, column, to),
    )


def _lines_have_no_gaps(table: SyncedTable) -> TableCheck:
    return TableCheck(
        table,
        "no_line_is_missing",
        "The lines of every invoice are numbered without a gap: a finding means that lines were lost.",
        lambda database, source: find_gaps(database, source, table, "line_index"),
    )


_AGING_ADDS_UP = TableCheck(
    SYNCED_TABLES["invoices"],
    "aging_adds_up",
    "The buckets of invoice_aging add up to what remains of open invoices, by currency. The samples are currencies.",
    lambda database, source: find_unlike_aging(database, source, livemode=not source.is_test_mode),
)

TABLE_CHECKS = {
    check.key: check
    for check in (
        *(_has_parents(table) for table in SYNCED_TABLES.values() if table.is_child),
        # Children come with their parents: what those refer to says enough.
        *(_references_are_known(reference) for reference in REFERENCES if not reference.table.is_child),
        _lines_have_no_gaps(SYNCED_TABLES["invoice_line_items"]),
        _AGING_ADDS_UP,
    )
}
"""All checks by key."""


def partitioned_check(key: AssetCheckKey, description: str) -> AssetCheckSpec:
    """What Dagster shows of a check that is asked source by source."""
    with warnings.catch_warnings():
        # Partitioned checks are a preview in this version of Dagster; the version is pinned and a test uses them.
        warnings.simplefilter("ignore", PreviewWarning)
        return AssetCheckSpec(key.name, asset=key.asset_key, description=description, partitions_def=payment_sources)


CHECK_SPECS = [
    *(partitioned_check(key, check.description) for key, check in TABLE_CHECKS.items()),
    *(partitioned_check(key, DESCRIPTION) for key in FRESHNESS_CHECKS),
]
"""What Dagster shows of each check."""


def check_tables(database: Database, source: Source, keys: Collection[AssetCheckKey]) -> Iterator[AssetCheckResult]:
    """Ask these questions about the source's tables, and whether it is fresh."""
    yield from check_freshness(database, source, keys)
    for key, check in TABLE_CHECKS.items():
        if key in keys:
            yield _result(check, check.find(database, source))


def _result(check: TableCheck, finding: Finding) -> AssetCheckResult:
    samples = redact("\n".join(finding.sample_ids))
    return AssetCheckResult(
        asset_key=check.key.asset_key,
        check_name=check.name,
        passed=finding.count == 0,
        severity=AssetCheckSeverity.WARN,
        description=f"{finding.count} found." if finding.count else None,
        metadata={"count": finding.count, **({"sample_ids": MetadataValue.text(samples)} if samples else {})},
    )
