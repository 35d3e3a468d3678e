"""Stripe as a registered provider."""

from collections.abc import Mapping, Sequence
from typing import Any

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.providers.base import (
    AccountOperations,
    AccountScope,
    ClientOptions,
    MappedPage,
    SourceOption,
    WebhookEvent,
    WebhookProof,
)
from cyphera_pipelines.providers.stripe import access
from cyphera_pipelines.providers.stripe.capabilities import CAPABILITIES
from cyphera_pipelines.providers.stripe.client import StripeAccountClient
from cyphera_pipelines.providers.stripe.endpoints import StripeWebhookEndpoints
from cyphera_pipelines.providers.stripe.keys import is_test_key
from cyphera_pipelines.providers.stripe.mapping import MAPPING_VERSION, map_objects
from cyphera_pipelines.providers.stripe.operations.account import StripeOperations
from cyphera_pipelines.providers.stripe.webhooks import open_webhook


class StripeProvider:
    """See `Provider`."""

    name = "stripe"
    title = "Stripe"
    default_host = "api.stripe.com"
    mapping_version = MAPPING_VERSION
    entities = tuple(Entity)
    capabilities = CAPABILITIES
    oldest = 1_262_304_000  # 2010, when Stripe began
    options: tuple[SourceOption, ...] = ()
    webhook_proof = WebhookProof.SIGNATURE
    # Stripe says so of customers and subscriptions. Of invoices it says nothing, so that their absence proves nothing.
    unlisted_with = dict.fromkeys((Entity.CUSTOMERS, Entity.SUBSCRIPTIONS, Entity.INVOICES), "test_clock_id")

    def is_test_mode(self, credentials: Credentials) -> bool | None:
        """See `Provider`."""
        return is_test_key(credentials.api_key.get_secret_value())

    def check_access(self, credentials: Credentials, connected_account_id: str | None) -> None:
        """See `Provider`."""
        access.check_access(credentials.api_key.get_secret_value(), connected_account_id)

    def scope(self, credentials: Credentials, connected_account_id: str | None) -> AccountScope:
        """See `Provider`."""
        return access.scope(credentials.api_key.get_secret_value(), connected_account_id)

    def address(self, credentials: Credentials) -> str:
        """See `Provider`."""
        return credentials.base_url or self.default_host

    def published_limits(self, credentials: Credentials) -> RateLimits:
        """See `Provider`. Stripe's documented limits: 100 per second live, 25 in test mode, 25 at one endpoint."""
        return RateLimits(account=100.0 if self.is_test_mode(credentials) is False else 25.0, endpoint=25.0)

    def open_webhook(self, body: bytes, headers: Mapping[str, str], secret: str) -> WebhookEvent:
        """See `Provider`."""
        return open_webhook(body, headers, secret)

    def webhook_endpoints(
        self, credentials: Credentials, connected_account_id: str | None = None
    ) -> StripeWebhookEndpoints:
        """See `Provider`."""
        return StripeWebhookEndpoints(credentials, connected_account_id)

    def map_told(
        self, credentials: Credentials, entity: Entity, objects: Sequence[Any], *, version: float
    ) -> MappedPage:
        """See `Provider`."""
        is_test = self.is_test_mode(credentials)
        return map_objects(entity, objects, version=version, livemode=None if is_test is None else not is_test)

    def connect(
        self, credentials: Credentials, options: ClientOptions, connected_account_id: str | None = None
    ) -> StripeAccountClient:
        """See `Provider`."""
        return StripeAccountClient(credentials, options, connected_account_id)

    def operate(
        self, credentials: Credentials, options: ClientOptions, connected_account_id: str | None = None
    ) -> AccountOperations | None:
        """See `Provider`."""
        return StripeOperations(credentials, options, connected_account_id)
