"""Payment provider configurations: what a workspace tells us about its account at a provider."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

FORMER_SECRET_IS_VALID_FOR = timedelta(days=1)
"""How long a webhook secret that was replaced is still accepted: the provider may sign with either for a while."""
SHORTEST_KEY_WITH_ENDING = 16
"""Characters: of a shorter one, four would tell too much."""


class Credentials(BaseModel):
    """The secret part of a configuration: encrypted at rest, decrypted only to call the provider.

    `base_url` replaces the provider's own address (a sandbox, a proxy); None means the provider's own. With
    `uses_platform_key` the configuration has no key of its own: it is opened with the platform's, which is never stored
    here. `former_webhook_secret` is accepted too, until `former_webhook_secret_until`. `options` is what else the
    provider has to know of the account, as its declared `options` name it; they are no secrets.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_key: SecretStr = SecretStr("")
    uses_platform_key: bool = False
    webhook_secret: SecretStr | None = None
    former_webhook_secret: SecretStr | None = None
    former_webhook_secret_until: datetime | None = None
    publishable_key: str | None = None
    environment: str | None = None
    base_url: str | None = None
    options: dict[str, str] = Field(default_factory=dict)

    def __hash__(self) -> int:
        # `options` are a dict, which has none.
        return hash((self.api_key, self.webhook_secret, self.base_url, tuple(sorted(self.options.items()))))

    def secret_values(self) -> tuple[str, ...]:
        """The values that must never be seen in any output."""
        secrets = (self.api_key, self.webhook_secret, self.former_webhook_secret)
        return tuple(secret.get_secret_value() for secret in secrets if secret)

    def valid_webhook_secrets(self) -> tuple[SecretStr, ...]:
        """Those that a webhook may be signed with now, the newest first."""
        former, until = self.former_webhook_secret, self.former_webhook_secret_until
        is_valid = until is not None and until > datetime.now(UTC)
        return tuple(each for each in (self.webhook_secret, former if is_valid else None) if each is not None)

    def with_webhook_secret(self, secret: SecretStr | None) -> Self:
        """The same with that secret; the one before stays valid for a day, unless there is to be none at all."""
        if secret == self.webhook_secret:
            return self
        replaces = secret is not None and self.webhook_secret is not None
        return self.model_copy(
            update={
                "webhook_secret": secret,
                "former_webhook_secret": self.webhook_secret if replaces else None,
                "former_webhook_secret_until": datetime.now(UTC) + FORMER_SECRET_IS_VALID_FOR if replaces else None,
            }
        )

    def without_former_secret(self) -> Self:
        """The same, and nothing but the present webhook secret is valid."""
        return self.model_copy(update={"former_webhook_secret": None, "former_webhook_secret_until": None})

    @model_validator(mode="after")
    def _has_a_key(self) -> Self:
        if bool(self.api_key.get_secret_value()) is self.uses_platform_key:
            raise ValueError("there is either a key or the platform's is used")
        return self

    def key_ending(self) -> str:
        """What tells one API key from another and gives none away, as in `...1234`; `...` where the key is short."""
        if self.uses_platform_key:
            return "the platform's"
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
