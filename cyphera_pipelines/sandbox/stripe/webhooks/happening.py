"""What happened in an account, as it is told to endpoints."""

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes
from cyphera_pipelines.sandbox.stripe.accounts import SandboxAccount
from cyphera_pipelines.sandbox.stripe.events import shaped
from cyphera_pipelines.sandbox.stripe.webhooks.endpoints import WebhookEndpoint, WebhookEndpoints

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

    def wanted_by(self, endpoints: int) -> None:
        """So many endpoints are to get it."""
        self.event["pending_webhooks"] = endpoints

    def arrived(self) -> None:
        """One endpoint less waits for it."""
        with _counting:
            self.event["pending_webhooks"] = max(0, self.event["pending_webhooks"] - 1)


def wanting_endpoints(
    happening: Happening, all_endpoints: Iterable[WebhookEndpoints]
) -> list[tuple[WebhookEndpoints, WebhookEndpoint]]:
    """Those that want an event: the first are the account's own endpoints, the others its platform's."""
    wanting = []
    for place, endpoints in enumerate(all_endpoints):
        is_connect = place > 0
        wanting += [
            (endpoints, endpoint)
            for endpoint in endpoints.present()
            if endpoint.is_connect is is_connect and endpoint.wants(str(happening.event["type"]))
        ]
    return wanting
