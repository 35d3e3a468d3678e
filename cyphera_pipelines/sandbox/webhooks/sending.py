"""From what happens in accounts to the endpoints that want to know of it."""

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Generic

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.webhooks.endpoint import E, Endpoints, Happening
from cyphera_pipelines.sandbox.webhooks.options import WebhookOptions
from cyphera_pipelines.sandbox.webhooks.post import Poster
from cyphera_pipelines.sandbox.webhooks.queue import EndpointQueue

_CONNECTIONS = 64
_ENDS_WITHIN = 3.0


class Webhooks(Generic[E]):
    """Sends the events of all accounts of a provider. Safe to use from several threads.

    `options` tells how, at any moment; `wait_after` how many seconds to wait after so many tries.
    """

    def __init__(
        self,
        options: Callable[[], WebhookOptions],
        wait_after: Callable[[WebhookOptions, int], float] = WebhookOptions.wait_after,
    ) -> None:
        self._options = options
        self._wait_after = wait_after
        self._lock = threading.Lock()
        self._poster = Poster(_CONNECTIONS)
        self._queues: dict[str, EndpointQueue[E]] = {}

    def tell(self, happening: Happening[E], wanting: Iterable[tuple[Endpoints[E], E]]) -> None:
        """Send an event to the endpoints that want it, each given with all of its account."""
        all_wanting = list(wanting)
        happening.wanted_by(len(all_wanting))
        for owner, endpoint in all_wanting:
            self._queue(owner, endpoint).put(happening)

    def tell_again(
        self, happening: Happening[E], wanting: Iterable[tuple[Endpoints[E], E]], endpoint_id: str | None
    ) -> list[str]:
        """Send an event once more, to one of the endpoints that want it or to all; return the endpoints' ids.

        Raises KeyError for an endpoint that is not there or does not want it.
        """
        chosen = [(owner, endpoint) for owner, endpoint in wanting if endpoint_id in (None, endpoint.id)]
        if endpoint_id is not None and not chosen:
            raise KeyError(endpoint_id)
        for owner, endpoint in chosen:
            self._queue(owner, endpoint).put_again(happening)
        return [endpoint.id for _owner, endpoint in chosen]

    def of(self, endpoint: E) -> JsonObject:
        """Return the counts of an endpoint; see `Tally`."""
        queue = self._queues.get(endpoint.id)
        return {} if queue is None else queue.as_json()

    def ids_of(self, endpoint: E) -> JsonObject:
        """Return the ids of the events that an endpoint never got: `lost` and `given_up`."""
        queue = self._queues.get(endpoint.id)
        return {"lost": [], "given_up": []} if queue is None else queue.ids()

    def forget(self, endpoints: Iterable[E]) -> None:
        """Send nothing more to endpoints of an account that is gone."""
        with self._lock:
            queues = [queue for each in endpoints if (queue := self._queues.pop(each.id, None))]
        _end(queues)

    def close(self) -> None:
        """End all threads; what was not sent never will be."""
        with self._lock:
            queues = list(self._queues.values())
            self._queues.clear()
        _end(queues)
        self._poster.close()

    def _queue(self, owner: Endpoints[E], endpoint: E) -> EndpointQueue[E]:
        with self._lock:
            queue = self._queues.get(endpoint.id)
            if queue is None:
                number = owner.number_of(endpoint.id) or 0
                find = partial(owner.find, endpoint.id)
                queue = EndpointQueue(endpoint.id, number, find, self._options, self._poster, self._wait_after)
                self._queues[endpoint.id] = queue
            return queue


def _end(queues: list[EndpointQueue[Any]]) -> None:
    """Let all of them end, and wait a little for their threads: those that wait for an answer end with the process."""
    threads = [thread for queue in queues for thread in queue.close()]
    deadline = time.monotonic() + _ENDS_WITHIN
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
