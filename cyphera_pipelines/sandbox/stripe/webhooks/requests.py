"""What requests that make, change and delete endpoints are answered with."""

from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes
from cyphera_pipelines.sandbox.stripe.dataset import Dataset
from cyphera_pipelines.sandbox.stripe.endpoints import Endpoint
from cyphera_pipelines.sandbox.stripe.errors import no_such
from cyphera_pipelines.sandbox.stripe.webhooks.endpoints import KIND
from cyphera_pipelines.sandbox.stripe.webhooks.parameters import read_changed_endpoint, read_new_endpoint


def answer_write(dataset: Dataset, endpoint: Endpoint, body: bytes, idempotency_key: str | None) -> bytes:
    """Do what a request to `webhook_endpoints` asks for; return the body of its answer. Raises ProviderError."""
    with dataset.lock:
        request = (endpoint, body)
        return to_bytes(dataset.webhook_endpoints.once(idempotency_key, request, lambda: _do(dataset, endpoint, body)))


def _do(dataset: Dataset, endpoint: Endpoint, body: bytes) -> JsonObject:
    endpoints, identifier = dataset.webhook_endpoints, endpoint.object_id
    if identifier is None:
        made = endpoints.create(read_new_endpoint(body))
        return {**made.as_json(), "secret": made.secret}
    present = endpoints.find(identifier)
    if present is None:
        raise no_such(KIND, identifier)
    if endpoint.writes == "DELETE":
        endpoints.delete(identifier)
        return {"id": identifier, "object": "webhook_endpoint", "deleted": True}
    return endpoints.change(identifier, read_changed_endpoint(body, present.metadata)).as_json()
