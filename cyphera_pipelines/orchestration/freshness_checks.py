"""The asset check of each entity's table that tells whether the source of a partition is fresh.

It reads one row and scans no table. It is evaluated with every materialization, where a sync failed, and on demand;
of sources at rest nothing is written to Dagster, also when they become late because nobody syncs them: that is for
`cyphera status` and the metrics, which nobody has to ask source by source.
"""

from collections.abc import Collection, Iterator

from dagster import AssetCheckEvaluation, AssetCheckKey, AssetCheckResult, AssetCheckSeverity, MetadataValue

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.freshness import Freshness, SourceFreshness
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.orchestration.asset_specs import asset_key
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.freshness import freshness_of_workspace

FRESHNESS_CHECK = "source_is_fresh"
DESCRIPTION = (
    "The source's tables were found or made to be as the provider has it within its period and some grace, its last "
    "sync was complete, and it is not paused. The description of a result says what is the matter, and what to do."
)
FRESHNESS_CHECKS = {
    AssetCheckKey(asset_key(table), FRESHNESS_CHECK): table for table in SYNCED_TABLES.values() if not table.is_child
}
"""The tables by the keys of their checks."""


def check_freshness(database: Database, source: Source, keys: Collection[AssetCheckKey]) -> Iterator[AssetCheckResult]:
    """Ask whether the source is fresh, once for all of these checks; others are left alone."""
    wanted = [key for key in FRESHNESS_CHECKS if key in keys]
    found = freshness_of_workspace(database, source.workspace_id).get(source.provider) if wanted else None
    if found is None:
        return
    for key in wanted:
        yield AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=found.state is Freshness.FRESH,
            severity=AssetCheckSeverity.WARN,
            description=_told(found),
            metadata=_metadata(found),
        )


def evaluations(database: Database, source: Source, tables: Collection[SyncedTable]) -> list[AssetCheckEvaluation]:
    """The same for a source that was synced in a batch, as what is reported beside its materializations."""
    of_entities = [table for table in tables if not table.is_child]
    found = freshness_of_workspace(database, source.workspace_id).get(source.provider) if of_entities else None
    if found is None:
        return []
    return [
        AssetCheckEvaluation(
            asset_key=asset_key(table),
            check_name=FRESHNESS_CHECK,
            passed=found.state is Freshness.FRESH,
            severity=AssetCheckSeverity.WARN,
            description=_told(found),
            metadata=_metadata(found),
            partition=source.key,
        )
        for table in of_entities
    ]


def _told(found: SourceFreshness) -> str:
    return redact(" ".join(text for text in (found.sentence, found.remedy) if text))


def _metadata(found: SourceFreshness) -> dict[str, MetadataValue]:
    told: dict[str, MetadataValue] = {
        "state": MetadataValue.text(found.state.value),
        "schedule": MetadataValue.text(str(found.schedule)),
        "next_due": MetadataValue.timestamp(found.due_at),
    }
    if found.fresh_at is not None:
        told["fresh_as_of"] = MetadataValue.timestamp(found.fresh_at)
    return told
