"""What happened in a site, as it is told to endpoints."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cyphera_pipelines.sandbox.chargebee.webhooks.endpoints import WebhookEndpoint
from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes


@dataclass
class Happening:
    """An event of a site. `at` is when it was made, of `time.monotonic`; `note` notes what became of its webhooks."""

    event: JsonObject
    at: float
    note: Callable[[str], None]
    waiting: int = field(default=0)

    @property
    def event_id(self) -> str:
        """The event's id."""
        return str(self.event["id"])

    def body_for(self, endpoint: WebhookEndpoint) -> bytes:
        """Return what is sent: the event, as on its way to this endpoint."""
        return to_bytes(
            {
                **self.event,
                "webhook_status": "scheduled",
                "webhooks": [{"id": endpoint.id, "webhook_status": "scheduled", "object": "webhook"}],
            }
        )

    def wanted_by(self, endpoints: int) -> None:
        """So many endpoints are to get it."""
        self.waiting = endpoints
        if endpoints:
            self.note("scheduled")

    def arrived(self) -> None:
        """One endpoint less waits for it."""
        self.waiting -= 1
        if self.waiting <= 0:
            self.note("succeeded")
