"""Webhook endpoints at Stripe: listing, making and deleting those of one account."""

import time
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

import stripe
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.base import PermissionDeniedError, ProviderError, WebhookEndpoint
from cyphera_pipelines.providers.http.failures import Failure, lost_connection, unreadable_body
from cyphera_pipelines.providers.http.json_text import NotJsonError, parse_json
from cyphera_pipelines.providers.stripe.access import account_options
from cyphera_pipelines.providers.stripe.changes import all_event_types
from cyphera_pipelines.providers.stripe.connections import shared_http_client
from cyphera_pipelines.providers.stripe.errors import PROVIDER, Refusal, rejected_response
from cyphera_pipelines.security.secrets import register_secret

_PATH = "/v1/webhook_endpoints"
ATTEMPTS = 3
PAUSE_SECONDS = 1.0
ANSWER_WITHIN = 20.0
MOST_ENDPOINTS = 100
"""Of one page: an account may have 16."""
DESCRIPTION = "Cyphera Pipelines"


class StripeWebhookEndpoints:
    """See `WebhookEndpoints`.

    The `stripe` package would log the answer whole, and with it the new endpoint's secret: so its parts are used.
    """

    event_types = all_event_types()
    api_version = str(stripe.api_version)

    def __init__(self, credentials: Credentials, connected_account_id: str | None = None) -> None:
        api_key = credentials.api_key.get_secret_value()
        account = account_options(api_key, connected_account_id)
        self._account: stripe.RequestOptions = {**account, "stripe_version": stripe.api_version}
        self._base_url = (credentials.base_url or stripe.DEFAULT_API_BASE).rstrip("/")
        self._http = shared_http_client(self._base_url, ANSWER_WITHIN)
        client = stripe.StripeClient(api_key, base_addresses={"api": self._base_url}, http_client=self._http)
        self._requestor = client._requestor

    def find_all(self) -> list[WebhookEndpoint]:
        """See `WebhookEndpoints`."""
        answer = self._ask("get", f"{_PATH}?limit={MOST_ENDPOINTS}", "listing webhook endpoints")
        found = answer.get("data")
        return [_to_endpoint(each, "listing webhook endpoints") for each in found] if isinstance(found, list) else []

    def create(self, url: str) -> WebhookEndpoint:
        """See `WebhookEndpoints`."""
        wanted = {
            "url": url,
            "api_version": stripe.api_version,
            "enabled_events[]": self.event_types,
            "description": DESCRIPTION,
        }
        operation = "making a webhook endpoint"
        made = _to_endpoint(self._ask("post", _PATH, operation, urlencode(wanted, doseq=True)), operation)
        if made.secret is None:
            raise ProviderError(f"Stripe's answer to {operation} holds no signing secret.")
        return made

    def delete(self, endpoint_id: str) -> None:
        """See `WebhookEndpoints`."""
        self._ask("delete", f"{_PATH}/{quote(endpoint_id, safe='')}", f"deleting webhook endpoint {endpoint_id}")

    def _ask(
        self, method: Literal["get", "post", "delete"], path: str, operation: str, body: str | None = None
    ) -> dict[str, Any]:
        # The same for every attempt: what was made by one whose answer was lost is not made again.
        options: stripe.RequestOptions = {**self._account, "idempotency_key": str(uuid4())}
        headers = self._requestor.request_headers(method, "V1", options)
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._attempt(method, path, operation, headers, body)
            if not isinstance(answer, Failure):
                return answer
            if answer.retry is None or attempt == ATTEMPTS:
                raise answer.error
            time.sleep(min(PAUSE_SECONDS * attempt, answer.retry_after or PAUSE_SECONDS * attempt))
        raise AssertionError("the last attempt returns or raises")

    def _attempt(
        self, method: str, path: str, operation: str, headers: Any, body: str | None
    ) -> dict[str, Any] | Failure:
        try:
            content, status, answered = self._http.request(method, f"{self._base_url}{path}", headers, body)
        except stripe.APIConnectionError as error:
            return lost_connection(error.__cause__, operation, urlsplit(self._base_url).netloc)
        raw = content if isinstance(content, bytes) else content.encode()
        if not 200 <= status < 300:
            failure = rejected_response(Refusal.in_body(raw), status, answered, operation)
            return _may_not(failure, operation)
        try:
            answer = parse_json(raw)
        except NotJsonError:
            return unreadable_body(operation, PROVIDER)
        if not isinstance(answer, dict):
            problem = f"Stripe's answer to {operation} is no JSON object. Check that base_url leads to Stripe's API."
            return Failure(ProviderError(problem))
        return answer


def _may_not(failure: Failure, operation: str) -> Failure:
    """A key that may only read is as it should be: what is needed is needed for this one command."""
    if not isinstance(failure.error, PermissionDeniedError):
        return failure
    lacks = failure.error.permission or "Webhook Endpoints: Write"
    return Failure(
        PermissionDeniedError(
            f"The API key does not permit {operation}. Give it the permission {lacks} in the Stripe dashboard, which "
            "you may take away again afterwards; or make the endpoint there by hand.",
            failure.error.permission,
        )
    )


def _to_endpoint(value: Any, operation: str) -> WebhookEndpoint:
    if not isinstance(value, dict) or not is_usable_id(value.get("id")) or not isinstance(value.get("url"), str):
        raise ProviderError(f"Stripe's answer to {operation} holds something that is no webhook endpoint.")
    secret, types, version = value.get("secret"), value.get("enabled_events"), value.get("api_version")
    if isinstance(secret, str) and secret:
        register_secret(secret)
    return WebhookEndpoint(
        id=value["id"],
        url=value["url"],
        is_enabled=value.get("status") != "disabled",
        api_version=version if isinstance(version, str) else None,
        event_types=tuple(map(str, types)) if isinstance(types, list) else (),
        secret=SecretStr(secret) if isinstance(secret, str) and secret else None,
    )
