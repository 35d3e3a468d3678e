"""Chargebee as a registered provider."""

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
    UnusableAccessError,
    WebhookEndpoints,
    WebhookEvent,
    WebhookProof,
)
from cyphera_pipelines.providers.chargebee.capabilities import CAPABILITIES
from cyphera_pipelines.providers.chargebee.client import ChargebeeClient
from cyphera_pipelines.providers.chargebee.discounts import coupon_ids
from cyphera_pipelines.providers.chargebee.mapping import MAPPING_VERSION, map_objects
from cyphera_pipelines.providers.chargebee.operations.account import ChargebeeOperations
from cyphera_pipelines.providers.chargebee.site import (
    HOSTS,
    ITEM_FAMILY,
    SITE,
    WEBHOOK_READ_BACK,
    api_address,
    is_test_site,
    reads_webhooks_back,
    site_of,
)
from cyphera_pipelines.providers.chargebee.webhooks import open_webhook

REQUESTS_PER_MINUTE = 150.0
REQUESTS_AT_ONCE = 10


class ChargebeeProvider:
    """See `Provider`."""

    name = "chargebee"
    title = "Chargebee"
    default_host = HOSTS
    mapping_version = MAPPING_VERSION
    entities = tuple(Entity)
    capabilities = CAPABILITIES
    oldest = 1_293_840_000  # 2011, when Chargebee began
    options = (SITE, WEBHOOK_READ_BACK, ITEM_FAMILY)
    webhook_proof = WebhookProof.BASIC_AUTH
    unlisted_with: dict[Entity, str] = {}  # noqa: RUF012 (as `Provider` has it; nobody changes it)

    def is_test_mode(self, credentials: Credentials) -> bool | None:
        """See `Provider`: the site's name tells."""
        return is_test_site(credentials)

    def check_access(self, credentials: Credentials, connected_account_id: str | None) -> None:
        """See `Provider`."""
        site_of(credentials)
        if connected_account_id is not None:
            raise UnusableAccessError(
                "connected_account_id",
                "Chargebee has no connected accounts.",
                "Leave it out: the option site says whose data it is.",
            )

    def scope(self, credentials: Credentials, connected_account_id: str | None) -> AccountScope:  # noqa: ARG002
        """See `Provider`. Events do not name their site."""
        return AccountScope(site_of(credentials), webhooks_name_account=False)

    def address(self, credentials: Credentials) -> str:
        """See `Provider`."""
        return api_address(credentials)

    def published_limits(self, credentials: Credentials) -> RateLimits:  # noqa: ARG002
        """See `Provider`. What every site may do; plans that allow more are told per configuration."""
        return RateLimits(
            account=REQUESTS_PER_MINUTE, endpoint=REQUESTS_PER_MINUTE, per_seconds=60.0, at_once=REQUESTS_AT_ONCE
        )

    def open_webhook(self, body: bytes, headers: Mapping[str, str], secret: str) -> WebhookEvent:
        """See `Provider`."""
        return open_webhook(body, headers, secret)

    def webhook_endpoints(
        self,
        credentials: Credentials,  # noqa: ARG002
        connected_account_id: str | None = None,  # noqa: ARG002
    ) -> WebhookEndpoints | None:
        """See `Provider`. They are made in Chargebee's settings."""
        return None

    def map_told(
        self, credentials: Credentials, entity: Entity, objects: Sequence[Any], *, version: float
    ) -> MappedPage:
        """See `Provider`. What has to be read back first is told by nobody else; nor are terms of coupons."""
        if reads_webhooks_back(credentials):
            return MappedPage()
        whole = [obj for obj in objects if entity is not Entity.SUBSCRIPTIONS or not coupon_ids(obj)]
        return map_objects(entity, whole, version=version, livemode=not is_test_site(credentials))

    def connect(
        self,
        credentials: Credentials,
        options: ClientOptions,
        connected_account_id: str | None = None,
    ) -> ChargebeeClient:
        """See `Provider`."""
        self.check_access(credentials, connected_account_id)
        return ChargebeeClient(credentials, options)

    def operate(
        self,
        credentials: Credentials,
        options: ClientOptions,
        connected_account_id: str | None = None,
    ) -> AccountOperations:
        """See `Provider`."""
        self.check_access(credentials, connected_account_id)
        return ChargebeeOperations(credentials, options)
