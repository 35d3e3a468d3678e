"""Alembic's entry point: runs the migrations on the connection that `upgrade` hands over."""

from alembic import context

from cyphera_pipelines.store.migrations import VERSION_TABLE
from cyphera_pipelines.store.tables import CONTROL_SCHEMA, FIGURES_SCHEMA, PAYMENTS_SCHEMA, metadata

OWN_SCHEMAS = (CONTROL_SCHEMA, PAYMENTS_SCHEMA, FIGURES_SCHEMA)


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Compare our own schemas only: others in the same database are none of our business."""
    return kind != "schema" or name in OWN_SCHEMAS


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_schemas=True,
    include_name=include_name,
    version_table=VERSION_TABLE,
    version_table_schema=CONTROL_SCHEMA,
)
with context.begin_transaction():
    context.run_migrations()
