"""Writes: decided first, then sent, each under a key that makes it happen once.

A write is *prepared* without a request: what would be sent can be shown (a dry run), and kept, so that another process
can settle it if this one dies. What became of it is a value. `Unknown` means that it was sent and no answer came: it
may have happened. That is resolved by reading (`AccountOperations.find`), never by sending it blindly once more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias

from cyphera_pipelines.providers.base.capabilities import ObjectKind, Operation
from cyphera_pipelines.providers.base.objects import Item
from cyphera_pipelines.providers.base.reading import Change

MASK = "***"
THE_OBJECT = "{object}"
"""Stands, in what follows a write, for the id of the object that the first of its requests made."""


@dataclass(frozen=True)
class PreparedWrite:
    """One write, decided to the last parameter and not sent. All of it can be said in JSON.

    `object_id` is what it is about; None where it makes a new object. `path` is beneath the provider's address,
    `parameters` what goes into the body, nested, in the provider's words; those in `secret` (dotted paths) are never
    shown. `finding` is the provider's own note of how reading tells whether it has happened. `then` are requests that
    belong to the same write and go out after it, in order: `THE_OBJECT` in their paths and parameters is its object.
    """

    kind: ObjectKind
    operation: Operation
    object_id: str | None
    method: str
    path: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    secret: tuple[str, ...] = ()
    finding: Mapping[str, Any] = field(default_factory=dict)
    then: tuple["PreparedWrite", ...] = ()

    def as_json(self) -> dict[str, Any]:
        """All of it, secrets included: to be kept encrypted."""
        return {
            "kind": self.kind.value,
            "operation": self.operation.value,
            "object_id": self.object_id,
            "method": self.method,
            "path": self.path,
            "parameters": self.parameters,
            "secret": list(self.secret),
            "finding": self.finding,
            "then": [each.as_json() for each in self.then],
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "PreparedWrite":
        """What `as_json` said."""
        return cls(
            kind=ObjectKind(kept["kind"]),
            operation=Operation(kept["operation"]),
            object_id=kept["object_id"],
            method=kept["method"],
            path=kept["path"],
            parameters=kept["parameters"],
            secret=tuple(kept["secret"]),
            finding=kept["finding"],
            then=tuple(cls.from_json(each) for each in kept["then"]),
        )

    def shown(self) -> dict[str, Any]:
        """What people may see of it: the requests in order, without secrets."""
        requests = [
            {"method": each.method, "path": each.path, "parameters": _masked(each.parameters, each.secret)}
            for each in (self, *self.then)
        ]
        return {"kind": self.kind.value, "operation": self.operation.value, "requests": requests}


def _masked(parameters: Mapping[str, Any], secret: tuple[str, ...], above: str = "") -> dict[str, Any]:
    shown = dict[str, Any]()
    for name, value in parameters.items():
        path = f"{above}.{name}" if above else name
        if path in secret:
            shown[name] = MASK
        else:
            shown[name] = _masked(value, secret, path) if isinstance(value, Mapping) else value
    return shown


@dataclass(frozen=True)
class Done(Generic[Item]):
    """It happened. `item` is the object afterwards; None where it was deleted, and then `object_id` names what was.

    `changes` are what the answer says of synced entities, to be brought into the tables as a sync would.
    `was_found`: reading told, and not the answer.
    """

    object_id: str
    item: Item | None
    raw: Mapping[str, Any] | None = None
    changes: tuple[Change, ...] = ()
    was_found: bool = False


@dataclass(frozen=True)
class Rejected:
    """It did not happen, and will not. `code` is the provider's, `field` the one at fault in our words, if any is."""

    code: str
    message: str
    field: str | None = None
    remedy: str | None = None
    status: int | None = None


@dataclass(frozen=True)
class Unknown:
    """It was sent, and no answer came that tells whether it happened."""

    reason: str


Outcome: TypeAlias = Done[Item] | Rejected | Unknown
