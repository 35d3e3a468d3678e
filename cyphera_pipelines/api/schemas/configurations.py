"""Configurations: secrets go in, never out."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictBool, WithJsonSchema

from cyphera_pipelines.api.schemas import examples
from cyphera_pipelines.api.schemas.fields import (
    FalseUnlessGiven,
    ForgettableAccountPath,
    ForgettableBaseUrl,
    ForgettableHttpsUrl,
    ForgettableLabel,
    ForgettableSecret,
    ForgettableToken,
    Metadata,
    Moment,
    OptionalAccountPath,
    OptionalBaseUrl,
    OptionalHttpsUrl,
    OptionalLabel,
    OptionalSecret,
    OptionalToken,
    OptionsIn,
    PageOut,
    ProviderName,
    RequestBody,
    Secret,
    TrueUnlessGiven,
)
from cyphera_pipelines.api.schemas.missing import MissingOut
from cyphera_pipelines.api.schemas.schedules import ScheduleIn, ScheduleOut
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.schedule import PauseKind
from cyphera_pipelines.sync.connection import ConnectionReport, ProblemCode

_CREDENTIALS_EXAMPLE: dict[str, JsonValue] = {"api_key": "rk_test_...", "webhook_secret": "whsec_..."}
_IS_ACTIVE = "Whether it is synced. A workspace has at most one active configuration per provider."
_IS_TEST_MODE = "Whether the API key belongs to the provider's test mode."
_LABEL = "What people call the source."
_WEBHOOK_URL = "Where the provider sends its webhooks; https only."
_CONNECTED_ACCOUNT = (
    "The account to read, where the API key is not its own: `acct_...`, connected to the platform whose key this is; "
    "or, with an organization's key, one of its accounts (`acct_.../acct_...` for one that is connected to that)."
)
_METADATA = (
    "Whatever your own system keeps here: a JSON object of at most 16 KiB. Two names mean something to the pipeline: "
    "`store_raw` (false: do not keep the provider's whole objects) and `rate_limits` (`account` and `endpoint`: "
    "requests per second that replace the provider's published limits)."
)

_OPTIONS = (
    "What else the provider has to know of the account, by name; see `options` of `GET /providers`. They are no "
    "secrets."
)

_SCHEDULE = (
    "When the source is brought up to date by itself: hourly, and everything weekly, unless something else is given."
)
_OTHERS = ("configuration", "schedule")


class NewCredentials(RequestBody):
    """Credentials as they go in."""

    api_key: OptionalSecret = Field(
        default=None,
        description="The provider's API key. A restricted key with read access is enough. Without one the account "
        "`connected_account_id` is read with the platform's own key, which takes that an operator has tied the account "
        "to this workspace.",
    )
    webhook_secret: OptionalSecret = Field(default=None, description="Proves that webhooks come from the provider.")
    publishable_key: OptionalToken = Field(default=None, description="The provider's publishable key.")
    environment: OptionalToken = Field(default=None, description="A name of your own for the account's environment.")
    base_url: OptionalBaseUrl = Field(
        default=None, description="Another address than the provider's own. Only hosts that the operator allows."
    )
    options: OptionsIn | None = Field(default=None, description=_OPTIONS)

    def as_credentials(self) -> Credentials:
        """The same as a plain type."""
        given = self.model_dump(exclude_none=True)
        return Credentials.model_validate(given | {"uses_platform_key": self.api_key is None})


class ChangedCredentials(RequestBody):
    """Credentials that replace stored ones. What is left out or null stays; what is optional is forgotten if empty."""

    api_key: Secret | None = Field(default=None, description="A new API key.")
    webhook_secret: ForgettableSecret = Field(
        default=None,
        description="A new webhook secret; if empty, it is forgotten. The one that it replaces stays valid for a day, "
        "unless that is ended: `DELETE /config/{config_id}/former-webhook-secret`.",
    )
    publishable_key: ForgettableToken = Field(
        default=None, description="A new publishable key; if empty, it is forgotten."
    )
    environment: ForgettableToken = Field(default=None, description="A new name; if empty, it is forgotten.")
    base_url: ForgettableBaseUrl = Field(default=None, description="A new address; if empty, the provider's own.")
    options: OptionsIn | None = Field(
        default=None, description=f"{_OPTIONS} Those that are not given stay; what is empty is forgotten."
    )

    def given(self) -> dict[str, Any]:
        """The fields that were given; None for those to be forgotten."""
        return _given(self)


class CreateConfiguration(RequestBody):
    """A workspace's account at a provider."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "provider_name": examples.PROVIDER_NAME,
                    "is_test_mode": True,
                    "configuration": _CREDENTIALS_EXAMPLE,
                    "webhook_endpoint_url": f"https://example.com/webhooks/{examples.PROVIDER_NAME}",
                    "metadata": {"plan": "growth"},
                    "schedule": {"changes_every_seconds": 900},
                }
            ]
        }
    )

    provider_name: ProviderName
    is_active: TrueUnlessGiven = Field(default=True, description=_IS_ACTIVE)
    is_test_mode: StrictBool | None = Field(default=None, description=f"{_IS_TEST_MODE} By default what the key is.")
    configuration: NewCredentials
    label: OptionalLabel = Field(default=None, description=_LABEL)
    webhook_endpoint_url: OptionalHttpsUrl = Field(default=None, description=_WEBHOOK_URL)
    connected_account_id: OptionalAccountPath = Field(default=None, description=_CONNECTED_ACCOUNT)
    metadata: Metadata | None = Field(default=None, description=_METADATA)
    schedule: ScheduleIn | None = Field(default=None, description=_SCHEDULE)


class ChangeConfiguration(RequestBody):
    """New values. What is left out or null stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"configuration": {"api_key": "rk_test_..."}}]})

    is_active: StrictBool | None = Field(default=None, description=_IS_ACTIVE)
    is_test_mode: StrictBool | None = Field(default=None, description=_IS_TEST_MODE)
    configuration: ChangedCredentials | None = Field(default=None, description="New credentials.")
    label: ForgettableLabel = Field(default=None, description=f"{_LABEL} If empty, it is forgotten.")
    webhook_endpoint_url: ForgettableHttpsUrl = Field(
        default=None, description=f"{_WEBHOOK_URL} If empty, it is forgotten."
    )
    connected_account_id: ForgettableAccountPath = Field(
        default=None, description=f"{_CONNECTED_ACCOUNT} If empty, it is forgotten."
    )
    metadata: Metadata | None = Field(default=None, description=f"{_METADATA} Replaces what is there.")
    schedule: ScheduleIn | None = Field(default=None, description=f"{_SCHEDULE} Only of an active configuration.")

    def credentials(self) -> dict[str, Any]:
        """The credentials that were given; None for those to be forgotten."""
        return {} if self.configuration is None else self.configuration.given()

    def columns(self) -> dict[str, Any]:
        """The columns that were given, by name; None for those to be forgotten."""
        return {name: value for name, value in _given(self).items() if name not in _OTHERS}


def _given(body: RequestBody) -> dict[str, Any]:
    """The fields of a change, but for those that are null, which leave things as they are."""
    fields = {name: getattr(body, name) for name in body.model_fields_set}
    return {name: None if value == "" else value for name, value in fields.items() if value is not None}


class PauseConfiguration(RequestBody):
    """Why, and what becomes of a sync that runs."""

    reason: OptionalLabel = Field(default=None, description="Why: whoever asks for a sync is told.")
    cancel: FalseUnlessGiven = Field(default=False, description="Cancel a sync that runs; else it goes on.")


class PauseOut(BaseModel):
    """A source that is paused: what webhooks tell is kept, and no sync starts by itself."""

    model_config = ConfigDict(from_attributes=True)

    paused_at: Moment
    paused_by: str | None = Field(description="Who paused it, as the audit trail names them.")
    paused_reason: str | None = Field(description="Why; null where no reason was given.")
    paused_kind: PauseKind = Field(
        description="`person`: somebody wants no sync at all. `credentials`: the provider rejected the key; another "
        "key, a connection test or a sync that succeeds ends it. `failures`: many syncs failed, for long; a sync that "
        "somebody asks for is made, and ends it if it succeeds."
    )
    paused_code: str | None = Field(
        description="The error code of what it is paused for, as in docs/errors.md; null where a person paused it."
    )


class ConfigurationOut(BaseModel):
    """A configuration, without its secrets."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra=examples.shown(examples.CONFIGURATION))

    id: UUID = Field(description="The configuration's id.")
    workspace_id: UUID = Field(description="The workspace that it belongs to.")
    provider_name: str = Field(description="The provider; see `GET /providers`.")
    is_active: bool = Field(description=_IS_ACTIVE)
    is_test_mode: bool = Field(description=_IS_TEST_MODE)
    label: str | None = Field(description=_LABEL)
    webhook_endpoint_url: str | None = Field(description=_WEBHOOK_URL)
    connected_account_id: str | None = Field(description=_CONNECTED_ACCOUNT)
    last_sync_at: Moment | None = Field(description="When a sync last completed.")
    last_webhook_at: Moment | None = Field(description="When the last webhook came in.")
    last_webhook_refused_at: Moment | None = Field(
        description="When a webhook was last refused: its account is not this configuration's."
    )
    last_webhook_refusal: str | None = Field(description="Why that was, and what to do about it.")
    # Whatever was written there by SQL is shown as it is.
    metadata: Annotated[Any, WithJsonSchema({"type": "object", "additionalProperties": True})] = Field(
        description=_METADATA
    )
    missing: list[MissingOut] = Field(
        default_factory=list,
        description="What is missing from the tables of this source, by entity, until it is mended; told where one "
        "configuration is asked for.",
    )
    pause: PauseOut | None = Field(
        default=None,
        description="Since when and why no sync of the source starts by itself; where a person paused it, none that "
        "is asked for either (409, `source-paused`). null while syncs start.",
    )
    schedule: ScheduleOut | None = Field(
        default=None, description="When the source is brought up to date by itself; null while it is not active."
    )
    created_at: Moment
    updated_at: Moment


class Configurations(PageOut):
    """A page of configurations."""

    configurations: list[ConfigurationOut] = Field(description="Newest first.")


class ConnectedAccount(BaseModel):
    """The account that the credentials reach."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="The provider's id of the account.")
    name: str | None = Field(description="Its name at the provider; null where there is none.")
    livemode: bool = Field(description="True for live data, false for the provider's test mode.")
    country: str | None = Field(description="Two-letter country code; null where the provider does not tell.")
    default_currency: str | None = Field(description="Lower-case ISO code; null where the provider does not tell.")


class ConnectionProblemOut(BaseModel):
    """One thing that is wrong, or worth knowing."""

    model_config = ConfigDict(from_attributes=True)

    code: ProblemCode = Field(
        description="Two are no failures: `account_unreadable`, since restricted keys seldom may read the account, and "
        "`events_unreadable`, without which changes cannot be followed and every sync lists everything."
    )
    error_code: str = Field(description="The same as everywhere else, as in docs/errors.md.")
    message: str = Field(description="What it is, and what to do about it.")
    entity: Entity | None = Field(description="The entity that cannot be read; null if it concerns all of them.")
    permission: str | None = Field(description="The permission that the key lacks, as the provider calls it.")


class ConnectionResult(BaseModel):
    """What a connection test found."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.CONNECTION))

    success: bool = Field(description="Whether a sync would get all entities.")
    status: Literal["success", "failed"] = Field(description="The same as `success`, as a word.")
    message: str = Field(description="All of it for people, in one text.")
    account: ConnectedAccount | None = Field(description="null if it was not reached, or may not be read.")
    readable: list[Entity] = Field(description="The entities that the key may read.")
    problems: list[ConnectionProblemOut] = Field(description="What is wrong, or worth knowing; empty as a rule.")

    @classmethod
    def of(cls, report: ConnectionReport) -> "ConnectionResult":
        """The report as it is shown."""
        return cls(
            success=report.success,
            status="success" if report.success else "failed",
            message=" ".join(problem.message for problem in report.problems) or "The connection works.",
            account=None if report.account is None else ConnectedAccount.model_validate(report.account),
            readable=list(report.readable),
            problems=[ConnectionProblemOut.model_validate(problem) for problem in report.problems],
        )
