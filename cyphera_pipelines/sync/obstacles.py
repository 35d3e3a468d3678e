"""Whether what changed since the last sync suffices, or everything has to be listed: decided without a request."""

from collections.abc import Iterable, Mapping

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.cursors import SyncPosition
from cyphera_pipelines.sync.unfinished import unfinished_of
from cyphera_pipelines.sync.watermarks import EVENTS_ARE_KEPT_FOR, is_to_come


def obstacles_to_changes(
    provider: str, entities: Iterable[Entity], positions: Mapping[Entity, SyncPosition], now: float
) -> dict[Entity, str]:
    """Why the provider events do not suffice, in a sentence for each of the entities for which they do not.

    `now` is a lower bound on the provider's clock, in seconds since 1970.
    """
    mapping_version = find_provider(provider).mapping_version
    found = {
        entity: _obstacle(entity, positions.get(entity, SyncPosition()), mapping_version, now) for entity in entities
    }
    return {entity: obstacle for entity, obstacle in found.items() if obstacle is not None}


def _obstacle(entity: Entity, position: SyncPosition, mapping_version: int, now: float) -> str | None:
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
