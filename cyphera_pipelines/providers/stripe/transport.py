"""Requests to Stripe: the `stripe` package's headers and encoding, on the exchange that all providers share.

The package's retries leave out rate limits and cut-off bodies, and its request logging copies whole bodies: so a
request takes the package's parts one by one.
"""

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlencode

import stripe
from stripe._encode import _api_encode

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import ClientOptions
from cyphera_pipelines.providers.http.answers import Answer
from cyphera_pipelines.providers.http.exchange import Exchange, Request
from cyphera_pipelines.providers.http.failures import Failure
from cyphera_pipelines.providers.stripe.access import account_options
from cyphera_pipelines.providers.stripe.connections import shared_http_client
from cyphera_pipelines.providers.stripe.errors import PROVIDER, Refusal, rejected_response

# It would make a file in the user's home, and tell Stripe of our latencies.
stripe.enable_telemetry = False

Parameters = Mapping[str, str | int | tuple[str, ...]]
WriteMethod = Literal["post", "delete"]


class StripeTransport:
    """Makes one account's requests. Safe to use from several threads; connections are shared by all accounts."""

    def __init__(
        self, credentials: Credentials, options: ClientOptions, connected_account_id: str | None = None
    ) -> None:
        api_key = credentials.api_key.get_secret_value()
        account = account_options(api_key, connected_account_id)
        base_url = (credentials.base_url or stripe.DEFAULT_API_BASE).rstrip("/")
        client = stripe.StripeClient(
            api_key,
            base_addresses={"api": base_url},
            http_client=shared_http_client(base_url, options.answer_within),
            max_network_retries=0,
        )
        self._requestor = client._requestor
        self._request_options: stripe.RequestOptions = {**account, "stripe_version": stripe.api_version}
        # The same for everything that is read: the key, the account, the pinned API version, the user agent.
        headers = self._requestor.request_headers("get", "V1", self._request_options)
        self._exchange = Exchange(base_url, headers, options, provider=PROVIDER, refuse=_refuse)
        self.clock = self._exchange.clock

    def get(
        self, path: str, parameters: Parameters, operation: str, *, endpoint: str, entity: Entity | None = None
    ) -> dict[str, Any]:
        """Return the response's JSON object; see `Exchange.read`. Stripe's 409 counts as an error of its own."""
        asked = f"{path}?{urlencode(parameters, doseq=True)}" if parameters else path
        return self._exchange.read(Request(asked), operation, endpoint=endpoint, entity=entity)

    def send(
        self, method: WriteMethod, path: str, parameters: Mapping[str, Any], operation: str, *, endpoint: str, key: str
    ) -> Answer | Failure:
        """Send what may change something, once, under the idempotency key; see `Exchange.send`."""
        encoded = urlencode(list(_api_encode(parameters)))
        body = encoded if method == "post" else None
        asked = f"{path}?{encoded}" if method == "delete" and encoded else path
        headers = self._requestor.request_headers(method, "V1", {**self._request_options, "idempotency_key": key})
        return self._exchange.send(Request(asked, method.upper(), body, headers), operation, endpoint=endpoint)


def _refuse(answer: Answer, operation: str, entity: Entity | None) -> Failure:
    return rejected_response(Refusal.in_body(answer.body), answer.status, answer.headers, operation, entity)
