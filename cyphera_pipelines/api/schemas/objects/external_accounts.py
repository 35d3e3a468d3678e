"""External accounts: bank accounts and cards beyond the provider."""

from typing import Annotated

from pydantic import ConfigDict, Field, SecretStr

from cyphera_pipelines.api.schemas.fields import RequestBody
from cyphera_pipelines.api.schemas.objects import examples
from cyphera_pipelines.api.schemas.objects.values import (
    Country,
    Currency,
    MetadataIn,
    ObjectId,
    ObjectOut,
    PageOfObjects,
    ShortText,
)
from cyphera_pipelines.providers.base import ExternalAccountType, NewExternalAccount

Hidden = Annotated[SecretStr, Field(min_length=1, max_length=255)]


class CreateExternalAccount(RequestBody):
    """A bank account or card to be known at the provider. Numbers and tokens are never shown again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": "payout_bank_account", "token": "btok_1Example"}]}
    )

    type: ExternalAccountType = Field(description="What it is for: to be paid out to, or to be charged.")
    owner_id: ObjectId | None = Field(
        default=None,
        description="The customer that is charged, or the connected account that is paid out to; null is the account "
        "of the configuration.",
    )
    token: Hidden | None = Field(default=None, description="What the provider's own form gave for its number.")
    country: Country | None = Field(default=None, description="ISO 3166, two letters.")
    currency: Currency | None = Field(default=None, description="ISO 4217, in lower case.")
    account_holder_name: ShortText | None = Field(default=None, description="Whose it is.")
    account_number: Hidden | None = Field(default=None, description="Its number, where there is no token.")
    routing_number: Hidden | None = Field(default=None, description="Its bank, where there is no token.")
    metadata: MetadataIn = Field(default={}, description="Names and values to be noted on it.")

    def as_request(self) -> NewExternalAccount:
        """The same as a plain type, with what is hidden."""

        def shown(hidden: SecretStr | None) -> str | None:
            return None if hidden is None else hidden.get_secret_value()

        return NewExternalAccount(
            type=self.type,
            owner_id=self.owner_id,
            token=shown(self.token),
            country=self.country,
            currency=self.currency,
            account_holder_name=self.account_holder_name,
            account_number=shown(self.account_number),
            routing_number=shown(self.routing_number),
            metadata=self.metadata,
        )


class ChangeExternalAccount(RequestBody):
    """What is to change of an external account: what is left out or null stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"account_holder_name": "Acme Inc."}]})

    account_holder_name: ShortText | None = Field(default=None, description="Whose it is.")
    metadata: MetadataIn | None = Field(default=None, description="Names and values to be noted on it.")


class ExternalAccountOut(ObjectOut):
    """A bank account or card. Its full number is never told."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.EXTERNAL_ACCOUNT))

    type: ExternalAccountType = Field(description="What it is for.")
    owner_id: str | None = Field(description="Whose it is at the provider.")
    status: str | None = Field(default=None, description="Whether it can be used, in the provider's word.")
    is_default: bool | None = Field(default=None, description="Whether it is used where nothing else is said.")
    account_holder_name: str | None = Field(default=None, description="Whose it is.")
    bank_name: str | None = Field(default=None, description="The bank, or the card's brand.")
    last4: str | None = Field(default=None, description="The last digits of its number.")
    routing_number: str | None = Field(default=None, description="Its bank's number.")
    country: str | None = Field(default=None, description="ISO 3166, two letters.")
    currency: str | None = Field(default=None, description="ISO 4217, in lower case.")


class ExternalAccounts(PageOfObjects):
    """Some external accounts."""

    items: list[ExternalAccountOut] = Field(description="Newest first.")
