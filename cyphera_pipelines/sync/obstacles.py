"""Whether what changed since the last sync suffices, or everything has to be listed: decided without a request."""

from collections.abc import Iterable, Mapping

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.providers.base import Provider
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.cursors import SyncPosition
from cyphera_pipelines.sync.unfinished import unfinished_of
from cyphera_pipelines.sync.watermarks import is_to_come


def obstacles_to_changes(
    provider: str, entities: Iterable[Entity], positions: Mapping[Entity, SyncPosition], now: float
) -> dict[Entity, str]:
    """Why the provider events do not suffice, in a sentence for each of the entities for which they do not.

    `now` is a lower bound on the provider's clock, in seconds since 1970.
    """
    implementation = find_provider(provider)
    found = {
        entity: _obstacle(entity, positions.get(entity, SyncPosition()), implementation, now) for entity in entities
    }
    return {entity: obstacle for entity, obstacle in found.items() if obstacle is not None}


def _obstacle(entity: Entity, position: SyncPosition, provider: Provider, now: float) -> str | None:
    unfinished, kept_for = unfinished_of(position), provider.capabilities.reading[entity].changes_kept_for
    if position.full_listing_at is None:
        return f"{entity.value} of this account were never listed to their end."
    if unfinished is not None and not unfinished.is_listed and unfinished.strategy is ConflictStrategy.OVERWRITE:
        return f"The last listing of {entity.value} did not come to its end."
    if position.mapping_version != provider.mapping_version:
        return f"Rows of {entity.value} are made in another way since this program was upgraded."
    if position.watermark is None:
        return f"What changed since {entity.value} was last listed could not be read from the provider's events."
    if is_to_come(position.watermark.timestamp()):
        return f"The time until which {entity.value} is up to date lies ahead: a clock was wrong."
    if kept_for is not None and now - position.watermark.timestamp() > kept_for:
        return f"{entity.value} was last synced longer ago than the provider keeps its events."
    return None
