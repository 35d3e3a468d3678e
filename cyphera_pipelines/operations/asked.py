"""What somebody asks to be written at a provider, in the field's own terms."""

from dataclasses import dataclass
from typing import TypeAlias
from uuid import uuid4

import orjson

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    SECRET_FIELDS,
    Cancellation,
    CustomerRequest,
    ExternalAccountRequest,
    InvoicePayment,
    NewExternalAccount,
    NewInvoice,
    NewPayment,
    NewPrice,
    NewRefund,
    NewSubscription,
    ObjectKind,
    Operation,
    PriceRequest,
    ProductRequest,
    SubscriptionRequest,
)
from cyphera_pipelines.security.secrets import register_secret

LONGEST_KEY = 255


@dataclass(frozen=True)
class Capture:
    """How much of the money that is held is to be taken, in minor units: all of it where `amount` is None."""

    amount: int | None = None


Request: TypeAlias = (
    Cancellation
    | Capture
    | CustomerRequest
    | ExternalAccountRequest
    | InvoicePayment
    | NewExternalAccount
    | NewInvoice
    | NewPayment
    | NewPrice
    | NewRefund
    | NewSubscription
    | PriceRequest
    | ProductRequest
    | SubscriptionRequest
)


@dataclass(frozen=True)
class Asked:
    """One write: of an object, or of a new one where `object_id` is None. `owner_id` is an external account's."""

    kind: ObjectKind
    operation: Operation
    object_id: str | None = None
    request: Request | None = None
    owner_id: str | None = None

    def as_bytes(self) -> bytes:
        """All that it asks for, secrets included: the same for the same, whoever asks."""
        return orjson.dumps(self, default=str, option=orjson.OPT_SORT_KEYS)

    def register_secrets(self) -> None:
        """Have what nobody may see again cut out of whatever leaves."""
        for name in SECRET_FIELDS.get(type(self.request), ()):
            value = getattr(self.request, name)
            if value is not None:
                register_secret(value)


def checked_key(key: str | None) -> str:
    """The idempotency key, or a new one where none is given. Raises InvalidInputError for one that cannot be kept."""
    if key is None:
        return str(uuid4())
    if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise InvalidInputError(
            f"An idempotency key is 1 to {LONGEST_KEY} printable ASCII characters, as a UUID is. Nothing was sent."
        )
    return key
