"""What the objects of several kinds are made of."""

from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, Field, StrictBool, TypeAdapter

from cyphera_pipelines.api.schemas.fields import WHOLE, RequestBody, StorableText, refuse

MOST_AMOUNT = 10**15
MOST_QUANTITY = 10**9
LONGEST_TEXT = 5_000
Requested = TypeVar("Requested")


def _not_dots_only(value: str) -> str:
    if not value.strip("."):
        refuse("This is not an object's id.", "Use the id as the provider gives it.")
    return value


def _text_only(value: Any) -> Any:
    if not isinstance(value, str):
        refuse("This is not a moment.", "Write it as in 2026-03-01T09:30:00Z.")
    return value


ObjectId = Annotated[str, Field(pattern=r"^[^\x00-\x20\x7f/]{1,255}$"), AfterValidator(_not_dots_only)]
ShortText = Annotated[StorableText, Field(min_length=1, max_length=255)]
LongText = Annotated[StorableText, Field(min_length=1, max_length=LONGEST_TEXT)]
Currency = Annotated[str, Field(pattern=r"^[a-z]{3}$")]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
AmountIn = Annotated[int, Field(strict=True, ge=0, le=MOST_AMOUNT), WHOLE]
SignedAmountIn = Annotated[int, Field(strict=True, ge=-MOST_AMOUNT, le=MOST_AMOUNT), WHOLE]
PositiveAmountIn = Annotated[int, Field(strict=True, ge=1, le=MOST_AMOUNT), WHOLE]
Quantity = Annotated[int, Field(strict=True, ge=0, le=MOST_QUANTITY), WHOLE]
Days = Annotated[int, Field(strict=True, ge=0, le=3_650), WHOLE]
DecimalText = Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,12})?$")]
MomentIn = Annotated[AwareDatetime, BeforeValidator(_text_only)]
MetadataIn = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=40)], Annotated[StorableText, Field(max_length=500)]],
    Field(max_length=50),
]
Flag = StrictBool


def to_request(kind: type[Requested], body: BaseModel) -> Requested:
    """What a body asks for, as the provider's operations take it: the names are the same."""
    return TypeAdapter(kind).validate_python(body.model_dump())


class ObjectOut(BaseModel):
    """An object as it is told: what the provider does not tell is null, or empty."""

    id: str = Field(description="The provider's id of it.")
    created: datetime | None = Field(default=None, description="When it was made; RFC 3339, in UTC.")
    metadata: dict[str, str] = Field(default={}, description="What whoever made it noted on it.")


class MoneyIn(RequestBody):
    """An amount of a currency."""

    amount: AmountIn = Field(description="In minor units: cents, whole yen, thousandths of a dinar.")
    currency: Currency = Field(description="ISO 4217, in lower case.", examples=["usd"])


class MoneyOut(BaseModel):
    """An amount of a currency."""

    amount: int = Field(description="In minor units: cents, whole yen, thousandths of a dinar.")
    currency: str = Field(description="ISO 4217, in lower case.")


class AddressIn(RequestBody):
    """A postal address."""

    line1: ShortText | None = Field(default=None, description="Street and number.")
    line2: ShortText | None = Field(default=None, description="Flat, floor, building.")
    city: ShortText | None = Field(default=None, description="City or town.")
    state: ShortText | None = Field(default=None, description="State, province or county.")
    postal_code: ShortText | None = Field(default=None, description="Postal code.")
    country: Country | None = Field(default=None, description="ISO 3166, two letters.")


class AddressOut(BaseModel):
    """A postal address."""

    line1: str | None = Field(default=None, description="Street and number.")
    line2: str | None = Field(default=None, description="Flat, floor, building.")
    city: str | None = Field(default=None, description="City or town.")
    state: str | None = Field(default=None, description="State, province or county.")
    postal_code: str | None = Field(default=None, description="Postal code.")
    country: str | None = Field(default=None, description="ISO 3166, two letters.")


class PageOfObjects(BaseModel):
    """What every page of objects tells of itself."""

    next_cursor: str | None = Field(description="The `starting_after` of the page that follows; null at the end.")
    previous_cursor: str | None = Field(description="The `ending_before` of the page before; null at the beginning.")
