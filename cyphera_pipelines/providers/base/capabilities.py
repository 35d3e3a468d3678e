"""What a provider declares that it can do. Declared means that it works; the rest is refused before any request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.providers.base.errors import ProviderError


class ObjectKind(StrEnum):
    """A kind of object at a provider; those that are synced are named as their entities."""

    CUSTOMERS = "customers"
    PRODUCTS = "products"
    PRICES = "prices"
    SUBSCRIPTIONS = "subscriptions"
    INVOICES = "invoices"
    PAYMENTS = "payments"
    REFUNDS = "refunds"
    EXTERNAL_ACCOUNTS = "external-accounts"


class Operation(StrEnum):
    """What can be done with a kind of object. The first four keep the tables, the others are asked for by people."""

    SYNC = "sync"
    CHANGES = "changes"
    DELETIONS = "deletions"
    WEBHOOKS = "webhooks"
    GET = "get"
    LIST = "list"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    CANCEL = "cancel"
    REACTIVATE = "reactivate"
    FINALIZE = "finalize"
    PAY = "pay"
    VOID = "void"
    SEND = "send"
    CAPTURE = "capture"
    SET_DEFAULT = "set-default"


class UnsupportedError(ProviderError):
    """The provider does not declare what it was asked for. No request was made."""

    code = ErrorCode.UNSUPPORTED

    def __init__(self, provider: str, kind: ObjectKind, operation: Operation, what: str | None = None) -> None:
        asked = f"{operation.value} {kind.value}" if what is None else what
        super().__init__(f"{provider} cannot {asked} through this system. See: cyphera provider list")
        self.provider = provider
        self.kind = kind
        self.operation = operation


@dataclass(frozen=True)
class EntityReading:
    """How an entity is listed and followed.

    `axis` is the column of the entity's own table that holds the moment by which a listing can be divided, and is
    listed newest first; None where there is none: then the list is read in one lane, and only its end proves what is
    gone. `changes_kept_for` is for how long, in seconds, the provider tells of changes; None is for ever.
    """

    axis: str | None = "created"
    changes_kept_for: float | None = None


@dataclass(frozen=True)
class Capabilities:
    """What one provider can do: operations by kind of object, the filters of lists, and how entities are read."""

    operations: Mapping[ObjectKind, frozenset[Operation]]
    reading: Mapping[Entity, EntityReading]
    filters: Mapping[ObjectKind, tuple[str, ...]] = field(default_factory=dict)

    def supports(self, kind: ObjectKind, operation: Operation) -> bool:
        """Whether it is declared."""
        return operation in self.operations.get(kind, frozenset())
