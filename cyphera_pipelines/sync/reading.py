"""Which objects a session has counted: one that is read again is not fetched, or unchanged, once more."""

from dataclasses import dataclass, field

from cyphera_pipelines.model.entities import Entity


@dataclass
class Reading:
    """What is read one after the other. Where `follows_listing`, a listing of the session counted every object."""

    follows_listing: bool = False
    _read: set[tuple[Entity, str]] = field(default_factory=set)

    def is_first(self, entity: Entity, object_id: str) -> bool:
        """Whether the object was not counted yet; from now on it is."""
        name = entity, object_id
        is_known = self.follows_listing or name in self._read
        self._read.add(name)
        return not is_known
