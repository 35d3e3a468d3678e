"""From what happens in accounts to the endpoints that want to know of it."""

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.webhooks.endpoints import WebhookEndpoint, WebhookEndpoints
from cyphera_pipelines.sandbox.webhooks.happening import Happening
from cyphera_pipelines.sandbox.webhooks.options import WebhookOptions
from cyphera_pipelines.sandbox.webhooks.post import Poster
from cyphera_pipelines.sandbox.webhooks.queue import EndpointQueue

_CONNECTIONS = 64
_ENDS_WITHIN = 3.0


class Webhooks:
    """Sends the events of all accounts. `options` tells how, at any moment. Safe to use from several threads."""

    def __init__(self, options: Callable[[], WebhookOptions]) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._poster = Poster(_CONNECTIONS)
        self._queues: dict[str, EndpointQueue] = {}

    def tell(self, happening: Happening, all_endpoints: Iterable[WebhookEndpoints]) -> None:
        """Send an event to those of the endpoints that want it; `pending_webhooks` of the event says how many."""
        wanting = wanting_endpoints(happening, all_endpoints)
        happening.event["pending_webhooks"] = len(wanting)
        for owner, endpoint in wanting:
            self._queue(owner, endpoint).put(happening)

    def tell_again(
        self, happening: Happening, all_endpoints: Iterable[WebhookEndpoints], endpoint_id: str | None
    ) -> list[str]:
        """Send an event once more, to one endpoint or to all that want it; return the endpoints' ids.

        Raises KeyError for an endpoint that is not there or does not want it.
        """
        wanting = [
            (owner, endpoint)
            for owner, endpoint in wanting_endpoints(happening, all_endpoints)
            if endpoint_id in (None, endpoint.id)
        ]
        if endpoint_id is not None and not wanting:
            raise KeyError(endpoint_id)
        for owner, endpoint in wanting:
            self._queue(owner, endpoint).put_again(happening)
        return [endpoint.id for _owner, endpoint in wanting]

    def of(self, endpoint: WebhookEndpoint) -> JsonObject:
        """Return the counts of an endpoint; see `Tally`."""
        queue = self._queues.get(endpoint.id)
        return {} if queue is None else queue.as_json()

    def ids_of(self, endpoint: WebhookEndpoint) -> JsonObject:
        """Return the ids of the events that an endpoint never got: `lost` and `given_up`."""
        queue = self._queues.get(endpoint.id)
        return {"lost": [], "given_up": []} if queue is None else queue.ids()

    def forget(self, endpoints: WebhookEndpoints) -> None:
        """Send nothing more to the endpoints of an account that is gone."""
        with self._lock:
            queues = [queue for each in endpoints.present() if (queue := self._queues.pop(each.id, None))]
        _end(queues)

    def close(self) -> None:
        """End all threads; what was not sent never will be."""
        with self._lock:
            queues = list(self._queues.values())
            self._queues.clear()
        _end(queues)
        self._poster.close()

    def _queue(self, owner: WebhookEndpoints, endpoint: WebhookEndpoint) -> EndpointQueue:
        with self._lock:
            queue = self._queues.get(endpoint.id)
            if queue is None:
                number = owner.number_of(endpoint.id) or 0
                find = partial(owner.find, endpoint.id)
                queue = EndpointQueue(endpoint.id, number, find, self._options, self._poster)
                self._queues[endpoint.id] = queue
            return queue


def _end(queues: list[EndpointQueue]) -> None:
    """Let all of them end, and wait a little for their threads: those that wait for an answer end with the process."""
    threads = [thread for queue in queues for thread in queue.close()]
    deadline = time.monotonic() + _ENDS_WITHIN
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


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
