"""Rows as a JSON array, for a merge that takes them as they are: an object's own, and those of its children."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from cyphera_pipelines.model.columns import Column, Kind, SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.json_text import to_json
from cyphera_pipelines.model.rows import ChildRow, MappedObject
from cyphera_pipelines.model.synced_tables import OCCURRENCE
from cyphera_pipelines.store.versions import storable_moment


def given_rows(entity: Entity, table: SyncedTable, batch: Iterable[MappedObject], store_raw: bool) -> str:
    """The table's rows of these objects of the entity."""
    rows = list[dict[str, Any]]()
    for obj in batch:
        for occurrence, row in _rows_of(entity, table, obj):
            values = {
                column.name: _value(column, value) for column, value in zip(table.columns, row.values, strict=True)
            }
            raw = orjson.Fragment(row.raw) if store_raw else None
            of_table = {OCCURRENCE: occurrence} if table.is_child else {}
            shared = {
                "id": row.id,
                "content_hash": f"\\x{row.content_hash.hex()}",
                "source_version": storable_moment(obj.version),
                "raw": raw,
            }
            rows.append(values | shared | of_table)
    return orjson.dumps(rows).decode()


def _rows_of(
    entity: Entity, table: SyncedTable, obj: MappedObject
) -> Iterable[tuple[int, MappedObject]] | Iterable[tuple[int, ChildRow]]:
    return _itself(obj) if table.name == entity.value else obj.children_of(table.name)


def _itself(obj: MappedObject) -> Iterator[tuple[int, MappedObject]]:
    yield 0, obj


def _value(column: Column, value: Any) -> Any:
    """The value as Postgres reads it back from JSON: numbers of any size, and JSON with such, as their text."""
    if value is None or column.kind in (Kind.TEXT, Kind.BOOLEAN):
        return value
    return orjson.Fragment(to_json(value)) if column.kind is Kind.JSON else str(value)
