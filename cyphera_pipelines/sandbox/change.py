"""One thing that happened in an account."""

from dataclasses import dataclass

from cyphera_pipelines.sandbox.serialization import JsonObject


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened: to which object, and the provider event that tells of it (None if none was made)."""

    collection: str
    object_id: str
    event_type: str | None
    event_id: str | None

    def as_json(self) -> JsonObject:
        """Return the change for the control interface."""
        return {
            "collection": self.collection,
            "object_id": self.object_id,
            "event_type": self.event_type,
            "event_id": self.event_id,
        }
