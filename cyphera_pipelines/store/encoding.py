"""Rows in COPY's text format: an object's own, and those of its children."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from cyphera_pipelines.model.columns import Kind, SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.json_text import to_json
from cyphera_pipelines.model.rows import ChildRow, MappedObject, Row
from cyphera_pipelines.model.synced_tables import child_tables, entity_table
from cyphera_pipelines.store.database_errors import is_about_data
from cyphera_pipelines.store.versions import storable_moment

NULL = "\\N"


def encode_ahead(entity: Entity, objects: Iterable[MappedObject], *, store_raw: bool) -> None:
    """Encode the objects before they are loaded: another thread may do that while Postgres has its turn.

    All values, and the children's JSON, are then kept in the encoded lines only, since nobody else asks for them. An
    object that cannot be encoded is left to the loader, which sets it apart from the others.
    """
    for obj in objects:
        try:
            obj.encoded = encode(entity, obj, store_raw)
        except Exception as error:
            if not is_about_data(error):
                raise
            continue
        obj.values = ()
        for children in obj.children.values():
            for child in children:
                child.values, child.raw = (), b""


def encode(entity: Entity, obj: MappedObject, store_raw: bool) -> dict[str, bytes]:
    """The object's lines by table, in the order of the staging table's columns."""
    if obj.encoded is not None:
        return obj.encoded
    version = repr(storable_moment(obj.version))
    own, *of_children = _encoders(entity)
    encoded = {own.table: _line("", own, obj, version, store_raw)}
    for encoder in of_children:
        children = obj.children_of(encoder.table)
        encoded[encoder.table] = b"".join(
            _line(f"\t{occurrence}", encoder, child, version, store_raw) for occurrence, child in children
        )
    return encoded


@dataclass(frozen=True)
class _Encoder:
    table: str
    fields: Callable[[Row], list[str]]


@cache
def _encoders(entity: Entity) -> tuple[_Encoder, ...]:
    """How to encode the rows of the entity, and then those of its children."""
    tables = (entity_table(entity), *child_tables(entity))
    return tuple(_Encoder(table.name, _row_encoder(table)) for table in tables)


def _line(occurrence: str, encoder: _Encoder, row: MappedObject | ChildRow, version: str, store_raw: bool) -> bytes:
    fields = "\t".join(encoder.fields(row.values))
    line = f"{escape(row.id)}{occurrence}\t{fields}\t\\\\x{row.content_hash.hex()}\t{version}\t".encode()
    return line + (row.raw.replace(b"\\", b"\\\\") + b"\n" if store_raw else b"\\N\n")


def escape(value: str) -> str:
    """A string as COPY's text format wants it."""
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if "\n" in value or "\t" in value or "\r" in value:
        value = value.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return value


_ENCODERS: dict[Kind, Callable[[Any], str]] = {
    Kind.TEXT: escape,
    Kind.INTEGER: str,
    Kind.BOOLEAN: lambda value: "t" if value else "f",
    Kind.TIMESTAMP: str,
    Kind.NUMERIC: str,
    Kind.JSON: lambda value: to_json(value).decode().replace("\\", "\\\\"),
}


def _row_encoder(table: SyncedTable) -> Callable[[Row], list[str]]:
    """A function that turns a row's values into the fields of COPY's text format."""
    encoders = [_ENCODERS[column.kind] for column in table.columns]

    def encode_values(values: Row) -> list[str]:
        return [NULL if value is None else encoder(value) for encoder, value in zip(encoders, values, strict=True)]

    return encode_values
