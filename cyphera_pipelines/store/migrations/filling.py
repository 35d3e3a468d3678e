"""For migrations that add a column to a synced table: its value, from the objects that are there.

Rows whose source does not keep `raw` stay as they are until they are listed anew, which a raised mapping version does.
"""

from alembic import op

from cyphera_pipelines.model.columns import Kind

_DECIMAL = r"^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{{1,4}})?$"
_OF_KIND = {
    Kind.TEXT: "CASE WHEN jsonb_typeof({found}) IN ('string', 'number') THEN {text} END",
    Kind.INTEGER: "CASE WHEN jsonb_typeof({found}) = 'number' THEN CASE WHEN CAST({text} AS numeric) % 1 = 0 "
    "AND CAST({text} AS numeric) BETWEEN -9223372036854775807 AND 9223372036854775807 "
    "THEN CAST(CAST({text} AS numeric) AS bigint) END END",
    Kind.BOOLEAN: "CASE WHEN jsonb_typeof({found}) = 'boolean' THEN CAST({text} AS boolean) END",
    Kind.TIMESTAMP: "CASE WHEN jsonb_typeof({found}) = 'number' THEN CASE WHEN CAST({text} AS numeric) % 1 = 0 "
    "AND CAST({text} AS numeric) BETWEEN -62135596800 AND 253402300799 "
    "THEN to_timestamp(CAST({text} AS double precision)) END END",
    Kind.NUMERIC: f"CASE WHEN jsonb_typeof({{found}}) IN ('string', 'number') AND {{text}} ~ '{_DECIMAL}' "
    "THEN CAST({text} AS numeric) END",
    Kind.JSON: "nullif({found}, 'null')",
}
"""SQL for the value of a kind, as a mapping takes it: NULL for what does not fit."""


def fill_from_raw(table: str, column: str, kind: Kind, *places: str) -> None:
    """Set a new column of a synced table wherever `raw` has a value for it.

    `places` are where it stands in the provider's object, as in `status_transitions.paid_at`; the first that fits
    counts. Only what is NULL is set, so that it may be called again. It is one statement of the migration's
    transaction: syncs that write to the same rows wait for its end, readers do not.
    """
    value = f"coalesce({', '.join(_value(kind, place) for place in places)})"
    op.execute(
        f"UPDATE payments.{table} SET {column} = {value} "
        f"WHERE {column} IS NULL AND raw IS NOT NULL AND {value} IS NOT NULL"
    )


def _value(kind: Kind, place: str) -> str:
    path = place.replace(".", ",")
    return _OF_KIND[kind].format(found=f"(raw #> '{{{path}}}')", text=f"(raw #>> '{{{path}}}')")
