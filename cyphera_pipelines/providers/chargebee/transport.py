"""Requests to one Chargebee site: Basic authentication, its parameters, and what its answers mean."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.json_text import to_json
from cyphera_pipelines.providers.base import ClientOptions
from cyphera_pipelines.providers.chargebee.errors import PROVIDER, refuse
from cyphera_pipelines.providers.chargebee.site import API, api_address
from cyphera_pipelines.providers.http.answers import Answer
from cyphera_pipelines.providers.http.exchange import Exchange, Request
from cyphera_pipelines.providers.http.failures import Failure
from cyphera_pipelines.security.secrets import register_secret

Parameters = Mapping[str, Any]
IDEMPOTENCY_HEADER = "chargebee-idempotency-key"
JSON_PARAMETERS = ("meta_data", "metadata")
"""What is sent as a JSON text, whatever is in it."""


class ChargebeeTransport:
    """Makes one site's requests. Safe to use from several threads."""

    def __init__(self, credentials: Credentials, options: ClientOptions) -> None:
        token = base64.b64encode(f"{credentials.api_key.get_secret_value()}:".encode()).decode()
        register_secret(token)
        headers = {
            "Authorization": f"Basic {token}",
            "Accept": "application/json",
            "User-Agent": "cyphera-pipelines",
        }
        address = f"{api_address(credentials)}{API}"
        self._exchange = Exchange(address, headers, options, provider=PROVIDER, refuse=refuse)
        self.clock = self._exchange.clock

    def get(
        self, path: str, parameters: Parameters, operation: str, *, endpoint: str, entity: Entity | None = None
    ) -> dict[str, Any]:
        """Return the answer's JSON object. `path` is beneath the API's address; see `Exchange.read`."""
        asked = f"{path}?{encoded(parameters)}" if parameters else path
        return self._exchange.read(Request(asked), operation, endpoint=endpoint, entity=entity)

    def post(self, path: str, parameters: Parameters, operation: str, *, endpoint: str, key: str) -> Answer | Failure:
        """Send what may change something, once, under the idempotency key; see `Exchange.send`."""
        headers = {IDEMPOTENCY_HEADER: key, "Content-Type": "application/x-www-form-urlencoded"}
        request = Request(path, "POST", encoded(parameters), headers)
        return self._exchange.send(request, operation, endpoint=endpoint)


def object_path(*names: str) -> str:
    """A path of these names, each percent-encoded: ids may hold anything, as in `/customers/a%2Fb`."""
    return "".join(f"/{quote(name, safe='')}" for name in names)


def encoded(parameters: Parameters) -> str:
    """Parameters as Chargebee takes them: `customer[email]=...`, and of lists of objects `items[id][0]=...`."""
    return urlencode(list(_flat(parameters, "", "")))


def _flat(value: Any, name: str, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            inner = f"{name}[{key}]" if name else str(key)
            if key in JSON_PARAMETERS:
                yield f"{inner}{place}", to_json(item).decode()
            else:
                yield from _flat(item, inner, place)
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _flat(item, name, f"[{at}]")
    elif isinstance(value, bool):
        yield f"{name}{place}", "true" if value else "false"
    else:
        yield f"{name}{place}", "" if value is None else str(value)
