"""Loose children that nobody tells of: a snapshot leaves them out, and so do the tables where its object was not."""

from functools import cache

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject
from cyphera_pipelines.model.synced_tables import entity_table, loose_child_tables
from cyphera_pipelines.store.known_rows import KnownRow


def may_have_untold_children(entity: Entity, obj: MappedObject, row: KnownRow | None, since: float) -> bool:
    """Whether a snapshot does not suffice, since its object may have loose children that no event tells of.

    Those of a row that is there were told with it, and what changed since then has events of its own. Those of an
    object that was not loaded, or that is marked as gone, are not there either; only one that was created at or after
    `since`, in seconds since 1970, from when on all events are listed, has them told by events as well.
    """
    if all(table.name in obj.children for table in loose_child_tables(entity)):
        return False
    if row is not None:
        return row.is_deleted
    created = obj.values[_place_of_created(entity)]
    return created is None or created < since


@cache
def _place_of_created(entity: Entity) -> int:
    return [column.name for column in entity_table(entity).columns].index("created")
