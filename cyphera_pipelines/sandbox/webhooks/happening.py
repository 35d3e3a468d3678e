"""What happened in an account, as it is told to endpoints."""

from dataclasses import dataclass
from threading import Lock

from cyphera_pipelines.sandbox.accounts import SandboxAccount
from cyphera_pipelines.sandbox.events import shaped
from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes
from cyphera_pipelines.sandbox.webhooks.endpoints import WebhookEndpoint

_counting = Lock()


@dataclass(frozen=True)
class Happening:
    """A provider event of an account. `snapshot` is its object in the shape that the API serves, `at` when it was made.

    `at` is of `time.monotonic`.
    """

    account: SandboxAccount
    event: JsonObject
    snapshot: JsonObject
    at: float

    @property
    def event_id(self) -> str:
        """The event's id."""
        return str(self.event["id"])

    def body_for(self, endpoint: WebhookEndpoint) -> bytes:
        """Return what is sent: in the endpoint's API version, and with the account if it is a connected one's."""
        version = endpoint.api_version or self.account.event_api_version
        data = {**self.event["data"], "object": shaped(self.snapshot, version)}
        whose = {"account": self.account.account_id} if endpoint.is_connect else {}
        return to_bytes({**self.event, **whose, "api_version": version, "data": data})

    def arrived(self) -> None:
        """One endpoint less waits for it."""
        with _counting:
            self.event["pending_webhooks"] = max(0, self.event["pending_webhooks"] - 1)
