"""A source: an active configuration seen from the pipeline, and its partition key."""

from dataclasses import dataclass
from uuid import UUID

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.model.workspace import validate_slug


@dataclass(frozen=True)
class Source:
    """One workspace's account at one provider.

    `store_raw` tells whether the provider's whole object is kept beside the typed columns. `rate_limits` replaces the
    limits that the provider publishes; None keeps to those. `connected_account_id` is the account that the key is used
    for; None is the key's own.
    """

    workspace_id: UUID
    workspace_slug: str
    provider: str
    configuration_id: UUID
    is_test_mode: bool
    store_raw: bool = True
    rate_limits: RateLimits | None = None
    connected_account_id: str | None = None

    @property
    def key(self) -> str:
        """The partition key, `<workspace slug>:<provider>`, as in `acme:stripe`."""
        return f"{self.workspace_slug}:{self.provider}"


def split_source_key(key: str) -> tuple[str, str]:
    """Return (workspace slug, provider) of a partition key, or raise InvalidInputError."""
    slug, separator, provider = key.partition(":")
    if not separator or not provider:
        raise InvalidInputError(f"{key!r} is not a source: write '<workspace slug>:<provider>', as in 'acme:stripe'.")
    return validate_slug(slug), provider
