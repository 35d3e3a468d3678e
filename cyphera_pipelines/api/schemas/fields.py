"""Types of single fields that several requests and responses share, with the rules that they follow."""

import json
import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NoReturn
from uuid import UUID

from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.model.source_options import HIGHEST_RATE, LOWEST_RATE, SourceOptions
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.providers.registry import PROVIDERS
from cyphera_pipelines.sync.configuration import PRINTABLE

LARGEST_METADATA = 16_384
DEEPEST_METADATA = 16
LARGEST_OFFSET = 2**63 - 1
LARGEST_PAGE = 100
LONGEST_WAIT = 30
"""Seconds that a status may be waited for."""
_PORT = "6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}"
_HTTPS_URL = rf"^https://[A-Za-z0-9]([A-Za-z0-9.-]{{0,250}}[A-Za-z0-9])?(:({_PORT}))?(/[!-~]*)?$"

_RATE = {"type": "number", "minimum": LOWEST_RATE, "maximum": HIGHEST_RATE}
_RATE_LIMITS_SCHEMA = {
    "type": "object",
    "properties": {"account": _RATE, "endpoint": _RATE},
    "required": ["account", "endpoint"],
    "additionalProperties": False,
}


class PageOut(BaseModel):
    """What every page of a list tells of itself."""

    total: int = Field(description="How many there are in all.")
    limit: int = Field(description="How many were asked for at most.")
    offset: int = Field(description="How many were left out before.")


class RequestBody(BaseModel):
    """A body: fields that it does not know are mistakes."""

    model_config = ConfigDict(extra="forbid")


def refuse(problem: str, remedy: str) -> NoReturn:
    """Refuse the value that is being validated. The message must not repeat it."""
    raise PydanticCustomError("refused", "{problem} | {remedy}", {"problem": problem, "remedy": remedy})


def _known_provider(name: str) -> str:
    if name not in PROVIDERS:
        refuse("There is no such provider.", f"Choose from: {', '.join(PROVIDERS)}.")
    return name


def _reference(text: str) -> str:
    if text not in PROVIDERS:
        try:
            UUID(text)
        except ValueError:
            names = ", ".join(PROVIDERS)
            refuse("This is neither a configuration's id nor a provider.", f"Give the id, or one of: {names}.")
    return text


def _whole(value: object) -> object:
    """To JSON 300.0 is the integer 300."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _page_size(value: Any) -> Any:
    """JSON's numbers only: pydantic would take "5" and true for numbers too. Null and 0 are what is left out."""
    if isinstance(value, bool | str):
        refuse("This is not a number.", "Give a whole number, without quotes.")
    return LARGEST_PAGE if value is None or value == 0 else value


def none_if_empty(value: Any) -> Any:
    """For a field that may be left out."""
    return None if value == "" else value


def _overwrite_if_empty(value: Any) -> Any:
    return ConflictStrategy.OVERWRITE if value is None or value == "" else value


def _empty_or_valid(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    return value if value == "" else validate(value)


def _true_if_null(value: Any) -> Any:
    return True if value is None else value


def _false_if_null(value: Any) -> Any:
    return False if value is None else value


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _storable_text(value: str) -> str:
    if storable(value) != value:
        refuse("It holds a NUL character or half a character.", "Leave such characters out.")
    return value


def _free_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    if _depth(metadata) > DEEPEST_METADATA:
        refuse("It is nested too deeply.", f"Use at most {DEEPEST_METADATA} levels.")
    if storable(metadata) != metadata:
        refuse("It holds a NUL character or half a character.", "Leave such characters out.")
    if _has_odd_number(metadata):
        refuse("It holds a number that JSON cannot say.", "Leave out NaN and infinities.")
    if len(json.dumps(metadata, ensure_ascii=False).encode()) > LARGEST_METADATA:
        refuse("It is too large.", f"Keep it under {LARGEST_METADATA} bytes of JSON.")
    return metadata


def _metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        SourceOptions.model_validate(metadata)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(level) for level in problem["loc"])
        refuse(
            f"Its {where} means something to the pipeline, and is not right: {problem['msg']}.",
            'Write "store_raw" as true or false, "rate_limits" as {"account": 50, "endpoint": 20}; or leave it out.',
        )
    return metadata


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return deepest


def _has_odd_number(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_odd_number, value.values()))
    if isinstance(value, list):
        return any(map(_has_odd_number, value))
    return isinstance(value, float) and not math.isfinite(value)


ProviderName = Annotated[
    str,
    AfterValidator(_known_provider),
    WithJsonSchema({"type": "string", "enum": list(PROVIDERS), "description": "A provider; see `GET /providers`."}),
]
WHOLE = BeforeValidator(_whole)
"""For strict integers, behind their bounds: before these it would hide them from the document."""
BatchSize = Annotated[
    int,
    Field(ge=1, le=LARGEST_PAGE),
    BeforeValidator(_page_size, Annotated[int, Field(ge=0, le=LARGEST_PAGE)] | None),
]
Moment = Annotated[datetime, AfterValidator(_in_utc), Field(description="RFC 3339, in UTC.")]
Secret = Annotated[SecretStr, Field(json_schema_extra={"pattern": PRINTABLE, "minLength": 1, "maxLength": 512})]
HttpsUrl = Annotated[str, Field(pattern=_HTTPS_URL, max_length=2048)]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,255}$")]
Label = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,120}$")]
AccountPath = Annotated[str, Field(pattern=r"^acct_[A-Za-z0-9_]{1,250}(/acct_[A-Za-z0-9_]{1,250})?$")]
BaseUrl = Annotated[str, Field(pattern=r"^https?://[!-~]+$", max_length=2048)]
# Clients send null for what they do not give; those of languages whose strings are never null send empty ones.
TrueUnlessGiven = Annotated[StrictBool, BeforeValidator(_true_if_null, StrictBool | None)]
FalseUnlessGiven = Annotated[StrictBool, BeforeValidator(_false_if_null, StrictBool | None)]
OptionalToken = Annotated[Token | None, BeforeValidator(none_if_empty, Token | Literal[""] | None)]
OptionalAccountPath = Annotated[AccountPath | None, BeforeValidator(none_if_empty, AccountPath | Literal[""] | None)]
OptionalLabel = Annotated[Label | None, BeforeValidator(none_if_empty, Label | Literal[""] | None)]
OptionalSecret = Annotated[Secret | None, BeforeValidator(none_if_empty, Secret | Literal[""] | None)]
OptionalHttpsUrl = Annotated[HttpsUrl | None, BeforeValidator(none_if_empty, HttpsUrl | Literal[""] | None)]
OptionalBaseUrl = Annotated[BaseUrl | None, BeforeValidator(none_if_empty, BaseUrl | Literal[""] | None)]
# In changes null leaves alone, and empty forgets.
ForgettableToken = Annotated[Token | None, WrapValidator(_empty_or_valid, Token | Literal[""] | None)]
ForgettableAccountPath = Annotated[AccountPath | None, WrapValidator(_empty_or_valid, AccountPath | Literal[""] | None)]
ForgettableLabel = Annotated[Label | None, WrapValidator(_empty_or_valid, Label | Literal[""] | None)]
ForgettableSecret = Annotated[Secret | None, WrapValidator(_empty_or_valid, Secret | Literal[""] | None)]
ForgettableHttpsUrl = Annotated[HttpsUrl | None, WrapValidator(_empty_or_valid, HttpsUrl | Literal[""] | None)]
ForgettableBaseUrl = Annotated[BaseUrl | None, WrapValidator(_empty_or_valid, BaseUrl | Literal[""] | None)]
OptionalConflictStrategy = Annotated[
    ConflictStrategy, BeforeValidator(_overwrite_if_empty, ConflictStrategy | Literal[""] | None)
]
OptionsIn = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")],
        Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{0,255}$")],
    ],
    Field(max_length=20),
]
StorableText = Annotated[str, AfterValidator(_storable_text)]
FreeMetadata = Annotated[
    dict[str, Any],
    AfterValidator(_free_metadata),
    WithJsonSchema({"type": "object", "additionalProperties": True}),
]
Metadata = Annotated[
    dict[str, Any],
    AfterValidator(_free_metadata),
    AfterValidator(_metadata),
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": True,
            "properties": {
                "store_raw": {"type": "boolean"},
                "rate_limits": {"anyOf": [_RATE_LIMITS_SCHEMA, {"type": "null"}]},
            },
        }
    ),
]

ConfigurationReference = Annotated[
    str,
    Path(description="The configuration's id; or the provider's name, which means the active configuration for it."),
    AfterValidator(_reference),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "uuid"}, {"type": "string", "enum": list(PROVIDERS)}]}),
]
ProviderPath = Annotated[ProviderName, Path(description="The provider, as in `stripe`; see `GET /providers`.")]
SessionId = Annotated[UUID, Path(description="The session's id.")]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="How many at most.")]
Offset = Annotated[int, Query(ge=0, le=LARGEST_OFFSET, description="How many to leave out before.")]
Wait = Annotated[
    float,
    Query(
        ge=0,
        le=LONGEST_WAIT,
        allow_inf_nan=False,
        description="Seconds to wait for another status than the present one before answering. 0 answers at once.",
    ),
]
