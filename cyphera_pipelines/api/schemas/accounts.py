"""Provider accounts of a workspace."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StrictBool

from cyphera_pipelines.api.schemas import examples
from cyphera_pipelines.api.schemas.fields import (
    FreeMetadata,
    Moment,
    OptionalToken,
    PageOut,
    ProviderName,
    RequestBody,
    StorableText,
    TrueUnlessGiven,
    none_if_empty,
)
from cyphera_pipelines.model.errors import RefusedValueError
from cyphera_pipelines.store.accounts import AccountClaim, RegisteredAccount

LIVE = "live"
DEFAULT_TYPE = "standard"
_Environment = Literal["live", "test", "sandbox"]
_ACCOUNT_ID = "The provider's id of the account, as in `acct_...`."
_LIVEMODE = "True for live data, false for the provider's test mode."
_ENVIRONMENT = "`live`, or `test` or `sandbox`, which both are the provider's test mode."
_METADATA = "Whatever your own system keeps here: a JSON object of at most 16 KiB."


def _either(*names: str) -> dict[str, JsonValue]:
    """That one of the fields is there and says something."""
    return {"anyOf": [{"required": [name], "properties": {name: {"not": {"enum": [None, ""]}}}} for name in names]}


class RegisterAccount(RequestBody):
    """An account that is this workspace's: `account_id` or `provider_account_id`, `livemode` or `environment`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"provider_name": examples.PROVIDER_NAME, "account_id": "acct_1Example", "livemode": False},
                {
                    "provider_name": examples.PROVIDER_NAME,
                    "provider_account_id": "acct_1Example",
                    "account_type": "standard",
                    "environment": "test",
                    "is_active": True,
                    "display_name": "Acme Inc.",
                },
            ],
            "allOf": [_either("account_id", "provider_account_id"), _either("livemode", "environment")],
        }
    )

    provider_name: ProviderName
    account_id: OptionalToken = Field(default=None, description=_ACCOUNT_ID)
    provider_account_id: OptionalToken = Field(default=None, description="The same as `account_id`.")
    livemode: StrictBool | None = Field(default=None, description=_LIVEMODE)
    environment: Annotated[_Environment | None, BeforeValidator(none_if_empty, _Environment | Literal[""] | None)] = (
        Field(default=None, description=_ENVIRONMENT)
    )
    account_type: OptionalToken = Field(
        default=None, description="A word of your own for the kind of account, as in `standard`, which is the default."
    )
    display_name: Annotated[StorableText, Field(max_length=255)] | None = Field(
        default=None, description="A name of your own; by default the account's name at the provider."
    )
    is_active: TrueUnlessGiven = Field(
        default=True, description="Whether the account is claimed; false only notes it, and claims nothing."
    )
    metadata: FreeMetadata | None = Field(default=None, description=_METADATA)

    def as_claim(self) -> AccountClaim:
        """The same as a plain type. Raises RefusedValueError where two fields are missing or say different things."""
        account_ids = {self.account_id, self.provider_account_id} - {None}
        if len(account_ids) != 1:
            raise RefusedValueError("account_id", *_EITHER["account_id", len(account_ids)])
        modes = {self.livemode, None if self.environment is None else self.environment == LIVE} - {None}
        if len(modes) != 1:
            raise RefusedValueError("livemode", *_EITHER["livemode", len(modes)])
        (account_id,), (livemode,) = account_ids, modes
        return AccountClaim(
            account_id=str(account_id),
            livemode=bool(livemode),
            is_active=self.is_active,
            account_type=self.account_type,
            environment=self.environment,
            display_name=self.display_name or None,
            metadata=self.metadata,
        )


_EITHER = {
    ("account_id", 0): ("It is required.", "Give it, or provider_account_id."),
    ("account_id", 2): ("It differs from provider_account_id.", "Give one of them."),
    ("livemode", 0): ("It is required.", "Give it, or environment."),
    ("livemode", 2): ("It contradicts environment.", "Give one of them."),
}


class AccountOut(BaseModel):
    """An account at a provider, and the workspace's tie to it."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.ACCOUNT))

    id: UUID = Field(description="The id of the tie.")
    workspace_id: UUID = Field(description="The workspace that asks.")
    provider_name: str = Field(description="The provider; see `GET /providers`.")
    provider_account_id: str = Field(description=_ACCOUNT_ID)
    account_id: str = Field(description="The same as `provider_account_id`.")
    account_type: str = Field(description="As it was registered; `standard` where it was not said.")
    environment: str = Field(description=_ENVIRONMENT)
    livemode: bool = Field(description=_LIVEMODE)
    display_name: str = Field(description="As it was registered, else the account's name; empty where there is none.")
    account_name: str | None = Field(description="Its name at the provider, once a connection to it has succeeded.")
    is_active: bool = Field(
        description="Whether the account is this workspace's. False where it was only noted, and where another "
        "workspace has it: an account belongs to one workspace."
    )
    metadata: dict[str, Any] = Field(description=_METADATA)
    created_at: Moment
    updated_at: Moment
    first_seen_at: Moment
    last_seen_at: Moment
    reached_at: Moment | None = Field(
        description="When a connection last reached it; null where there is only the workspace's own word."
    )

    @classmethod
    def of(cls, account: RegisteredAccount) -> "AccountOut":
        """The account as it is shown."""
        return cls(
            id=account.id,
            workspace_id=account.workspace_id,
            provider_name=account.provider_name,
            provider_account_id=account.account_id,
            account_id=account.account_id,
            account_type=account.account_type or DEFAULT_TYPE,
            environment=account.environment or (LIVE if account.livemode else "test"),
            livemode=account.livemode,
            display_name=account.display_name or account.account_name or "",
            account_name=account.account_name,
            is_active=account.is_active,
            metadata=account.metadata,
            created_at=account.first_seen_at,
            updated_at=account.updated_at,
            first_seen_at=account.first_seen_at,
            last_seen_at=account.last_seen_at,
            reached_at=account.reached_at,
        )


class Accounts(PageOut):
    """A page of accounts, oldest first."""

    accounts: list[AccountOut] = Field(description="Oldest first.")
    provider_accounts: list[AccountOut] = Field(description="Those of `accounts` that are active.")
