"""What a finished table shows in Dagster: counts, speed and a preview."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagster import MaterializeResult, MetadataValue
from dagster._core.definitions.metadata import RawMetadataValue

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import EntityProgress, Session
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.orchestration.asset_specs import asset_key, table_name
from cyphera_pipelines.orchestration.failures import text_value
from cyphera_pipelines.orchestration.session_links import session_metadata
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.rows import count_rows, preview_rows

PREVIEW_ROWS = 5
_LONGEST_CELL = 40
# What would end the cell or be taken for markup.
_ESCAPED = str.maketrans({character: f"\\{character}" for character in "\\`|<["})


@dataclass(frozen=True)
class SyncedSource:
    """A source after its sync. `seconds` is how long the sync took."""

    database: Database
    source: Source
    session: Session
    seconds: float


def is_complete(counts: EntityProgress) -> bool:
    """Whether the entity is whole: listed to its end, and every object loaded."""
    return counts.done and counts.error is None and counts.failed == 0


def changes(table: SyncedTable, counts: EntityProgress) -> dict[str, int]:
    """What became of the table's rows: how many of them were created, updated, unchanged, deleted."""
    found = counts.children.get(table.name, {}) if table.is_child else vars(counts)
    return {name: int(found.get(name, 0)) for name in ("created", "updated", "unchanged", "deleted")}


def has_changes(table: SyncedTable, counts: EntityProgress) -> bool:
    """Whether any row of the table is another one than before."""
    return any(number for name, number in changes(table, counts).items() if name != "unchanged")


def has_changed_rows(counts: Mapping[Entity, EntityProgress]) -> bool:
    """Whether any row of these entities' tables is another one than before."""
    return any(has_changes(table, counts[table.entity]) for table in SYNCED_TABLES.values() if table.entity in counts)


def materialization(synced: SyncedSource, table: SyncedTable, counts: EntityProgress) -> MaterializeResult[Any]:
    """The materialisation of one table, in a run of its source."""
    return MaterializeResult(asset_key=asset_key(table), metadata=metadata_of(synced, table, counts))


def metadata_of(synced: SyncedSource, table: SyncedTable, counts: EntityProgress) -> dict[str, RawMetadataValue]:
    """What one table's materialisation tells. Counts of changes are rows; what was fetched and failed are objects."""
    # Whoever sees Dagster's UI sees every workspace's: no names and addresses of people, unless the operator wants so.
    personal = load_settings().preview_personal_data
    rows = preview_rows(synced.database, synced.source, table, limit=PREVIEW_ROWS, personal=personal)
    return {
        "dagster/table_name": table_name(table),
        "dagster/partition_row_count": count_rows(synced.database, synced.source, [table])[table.name],
        **changes(table, counts),
        "fetched": counts.fetched,
        "failed": counts.failed,
        "requests": counts.requests,
        "rows_per_second": round(counts.fetched / max(synced.seconds, 0.001), 1),
        **{name: text_value(text) for name, text in session_metadata(synced.session).items()},
        "preview": MetadataValue.md(markdown_table(rows)),
    }


def markdown_table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table, with long cells cut short and secrets cut out."""
    if not rows:
        return "No rows."
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    return redact("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = " ".join(redact(str(value)).split())
    if len(text) > _LONGEST_CELL:
        text = f"{text[: _LONGEST_CELL - 1]}…"
    return text.translate(_ESCAPED)
