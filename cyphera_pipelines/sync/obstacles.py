"""Whether what changed since the last sync suffices, or everything has to be listed: decided without a request."""

from collections.abc import Iterable, Mapping

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.cursors import SyncPosition
from cyphera_pipelines.sync.unfinished import unfinished_of
from cyphera_pipelines.sync.watermarks import EVENTS_ARE_KEPT_FOR, is_to_come


def obstacle_to_changes(
    provider: str, entities: Iterable[Entity], positions: Mapping[Entity, SyncPosition], now: float
) -> str | None:
    """Why the provider events do not suffice for these entities, in a sentence; None if they do.

    `now` is a lower bound on the provider's clock, in seconds since 1970.
    """
    mapping_version = find_provider(provider).mapping_version
    for entity in entities:
        position = positions.get(entity, SyncPosition())
        unfinished = unfinished_of(position)
        if position.full_listing_at is None:
            return f"{entity.value} was never listed to its end."
        if unfinished is not None and not unfinished.is_listed and unfinished.strategy is ConflictStrategy.OVERWRITE:
            return f"The last listing of {entity.value} did not come to its end."
        if position.mapping_version != mapping_version:
            return f"Rows of {entity.value} are made in another way since this program was upgraded."
        if position.watermark is None:
            return f"What changed since {entity.value} was last listed could not be read from the provider's events."
        if is_to_come(position.watermark.timestamp()):
            return f"The time until which {entity.value} is up to date lies ahead: a clock was wrong."
        if now - position.watermark.timestamp() > EVENTS_ARE_KEPT_FOR:
            return f"{entity.value} was last synced longer ago than the provider keeps its events."
    return None
