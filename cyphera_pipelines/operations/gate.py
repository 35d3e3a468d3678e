"""What a provider declares: the rest is refused before any request."""

from typing import TypeVar

from cyphera_pipelines.providers.base import ObjectKind, Operation, Provider, UnsupportedError

Group = TypeVar("Group")


def check_supported(provider: Provider, kind: ObjectKind, operation: Operation) -> None:
    """Raise UnsupportedError for what the provider does not declare."""
    if not provider.capabilities.supports(kind, operation):
        raise UnsupportedError(provider.name, kind, operation)


def offered(group: Group | None, provider: Provider, kind: ObjectKind, operation: Operation) -> Group:
    """The group of operations, or UnsupportedError where there is none."""
    if group is None:
        raise UnsupportedError(provider.name, kind, operation)
    return group
