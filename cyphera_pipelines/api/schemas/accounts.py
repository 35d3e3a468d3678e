"""Provider accounts of a workspace."""

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from cyphera_pipelines.api.schemas import examples
from cyphera_pipelines.api.schemas.fields import Moment, ProviderName, RequestBody, Token


class RegisterAccount(RequestBody):
    """An account that is this workspace's."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"provider_name": "stripe", "account_id": "acct_1Example", "livemode": False}]}
    )

    provider_name: ProviderName
    account_id: Token = Field(description="The provider's id of the account, as in `acct_...`.")
    livemode: StrictBool = Field(description="True for live data, false for the provider's test mode.")


class AccountOut(BaseModel):
    """An account at a provider, and the workspace's tie to it."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra=examples.shown(examples.ACCOUNT))

    provider_name: str = Field(description="The provider; see `GET /providers`.")
    account_id: str = Field(description="The provider's id of the account.")
    livemode: bool = Field(description="True for live data, false for the provider's test mode.")
    account_name: str | None = Field(description="Known once a connection to it has succeeded.")
    first_seen_at: Moment
    last_seen_at: Moment


class Accounts(BaseModel):
    """A page of accounts, oldest first."""

    accounts: list[AccountOut] = Field(description="Oldest first.")
    total: int = Field(description="How many there are in all.")
