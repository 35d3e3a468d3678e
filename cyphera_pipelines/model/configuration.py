"""Payment provider configurations: what a workspace tells us about its account at a provider."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, SecretStr

SHORTEST_KEY_WITH_ENDING = 16
"""Characters: of a shorter one, four would tell too much."""


class Credentials(BaseModel):
    """The secret part of a configuration: encrypted at rest, decrypted only to call the provider.

    `base_url` replaces the provider's own address (a sandbox, a proxy); None means the provider's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_key: SecretStr
    webhook_secret: SecretStr | None = None
    publishable_key: str | None = None
    environment: str | None = None
    base_url: str | None = None

    def secret_values(self) -> tuple[str, ...]:
        """The values that must never be seen in any output."""
        secrets = (self.api_key, self.webhook_secret)
        return tuple(secret.get_secret_value() for secret in secrets if secret is not None)

    def key_ending(self) -> str:
        """What tells one API key from another and gives none away, as in `...1234`; `...` where the key is short."""
        key = self.api_key.get_secret_value()
        return f"...{key[-4:]}" if len(key) >= SHORTEST_KEY_WITH_ENDING else "..."


@dataclass(frozen=True)
class Configuration:
    """A row of `workspace_payment_configurations`, without its secrets."""

    id: UUID
    workspace_id: UUID
    provider_name: str
    is_active: bool
    is_test_mode: bool
    label: str | None
    webhook_endpoint_url: str | None
    connected_account_id: str | None
    last_sync_at: datetime | None
    last_webhook_at: datetime | None
    last_webhook_refused_at: datetime | None
    last_webhook_refusal: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
