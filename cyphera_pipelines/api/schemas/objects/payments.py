"""Payments and refunds: the transactions."""

from pydantic import ConfigDict, Field

from cyphera_pipelines.api.schemas.fields import RequestBody
from cyphera_pipelines.api.schemas.objects import examples
from cyphera_pipelines.api.schemas.objects.values import (
    Flag,
    LongText,
    MetadataIn,
    MoneyIn,
    MoneyOut,
    ObjectId,
    ObjectOut,
    PageOfObjects,
    PositiveAmountIn,
    ShortText,
)
from cyphera_pipelines.providers.base import TransactionStatus, TransactionType


class CreatePayment(RequestBody):
    """A payment to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "money": {"amount": 4200, "currency": "eur"},
                    "customer_id": "cus_1Example",
                    "payment_method_id": "pm_1Example",
                    "confirm": True,
                    "off_session": True,
                }
            ]
        }
    )

    money: MoneyIn = Field(description="How much.")
    customer_id: ObjectId | None = Field(default=None, description="Who pays.")
    payment_method_id: ObjectId | None = Field(default=None, description="What is charged.")
    confirm: Flag = Field(default=False, description="Whether it is tried at once.")
    off_session: Flag = Field(default=False, description="Whether the customer is not there to be asked.")
    captures_later: Flag = Field(default=False, description="Only hold the money, until it is captured.")
    description: LongText | None = Field(default=None, description="What for.")
    metadata: MetadataIn = Field(default={}, description="Names and values to be noted on it.")


class CapturePayment(RequestBody):
    """How much of what is held is taken. The body may be left out: all of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount": 4200}]})

    amount: PositiveAmountIn | None = Field(default=None, description="In minor units; null is all of it.")


class CreateRefund(RequestBody):
    """Money to be given back, of a charge or a payment."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"payment_id": "pi_1Example", "amount": 1000}]})

    charge_id: ObjectId | None = Field(default=None, description="The charge; or else `payment_id`.")
    payment_id: ObjectId | None = Field(default=None, description="The payment; or else `charge_id`.")
    amount: PositiveAmountIn | None = Field(default=None, description="In minor units; null is all of it.")
    reason: ShortText | None = Field(default=None, description="Why, in one of the provider's words.")
    metadata: MetadataIn = Field(default={}, description="Names and values to be noted on it.")


class TransactionOut(ObjectOut):
    """A payment or a refund."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.TRANSACTION))

    type: TransactionType = Field(description="Which of them.")
    status: TransactionStatus = Field(description="How far it is.")
    provider_status: str = Field(description="What the provider calls that.")
    money: MoneyOut = Field(description="How much.")
    captured: MoneyOut | None = Field(default=None, description="How much of it was taken.")
    refunded: MoneyOut | None = Field(default=None, description="How much of it was given back.")
    fee: MoneyOut | None = Field(default=None, description="What the provider keeps.")
    customer_id: str | None = Field(default=None, description="Who pays.")
    invoice_id: str | None = Field(default=None, description="The invoice that it pays.")
    subscription_id: str | None = Field(default=None, description="The subscription that it is for.")
    charge_id: str | None = Field(default=None, description="What a refund is asked for.")
    payment_intent_id: str | None = Field(default=None, description="The payment that it belongs to.")
    payment_method_id: str | None = Field(default=None, description="What is charged.")
    description: str | None = Field(default=None, description="What for.")
    failure_code: str | None = Field(default=None, description="Why it failed, in the provider's word.")
    failure_message: str | None = Field(default=None, description="The same, for people.")


class Transactions(PageOfObjects):
    """Some payments or refunds."""

    items: list[TransactionOut] = Field(description="Newest first.")
