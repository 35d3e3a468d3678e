"""The providers that there are: those that installed packages declare as entry points, ours like anybody else's.

A package that cannot be used leaves the others as they are: it is named in the log, and to whoever asks for its
provider.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.synced_tables import entity_table
from cyphera_pipelines.providers.base import Provider
from cyphera_pipelines.security.secrets import redact

_log = logging.getLogger(__name__)

GROUP = "cyphera_pipelines.providers"
"""The entry point group: each name in it is a provider's, each value its class, or the provider itself."""
OURS = "cyphera-pipelines"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
"""What a provider can be called: it stands in addresses, in partition keys after a colon, and in file names."""
LONGEST_REASON = 300


class UnusableProviderError(Exception):
    """A package declares a provider that is none."""


@dataclass
class FoundProviders:
    """Providers by name, and of those that cannot be used the reasons why."""

    usable: dict[str, Provider] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)


def find_providers(declared: Iterable[EntryPoint]) -> FoundProviders:
    """Load what is declared. Where two packages declare the same name, ours counts, and then whichever comes first."""
    found = FoundProviders()
    for entry in sorted(declared, key=lambda entry: (package_of(entry) != OURS, entry.name, package_of(entry))):
        try:
            provider = _load(entry)
        except Exception as error:  # whatever a package does as it is imported is its own trouble
            known = f"{error}" if isinstance(error, UnusableProviderError) else f"{type(error).__name__}: {error}"
            reason = redact(f"the package {package_of(entry)} cannot be used ({known[:LONGEST_REASON]})")
            _log.warning("There is no provider %r: %s.", entry.name, reason)
            found.unusable.setdefault(entry.name, reason)
            continue
        if entry.name in found.usable:
            _log.warning("Provider %r of the package %s is left out: the name is taken.", entry.name, package_of(entry))
            continue
        found.usable[entry.name] = provider
    return found


def package_of(entry: EntryPoint) -> str:
    """The name of the package that declares it."""
    return "(unknown)" if entry.dist is None else entry.dist.name


def _load(entry: EntryPoint) -> Provider:
    if not NAME.fullmatch(entry.name):
        raise UnusableProviderError("its name has to be of lower-case letters, digits, _ and -, a letter first")
    loaded = entry.load()
    provider = loaded() if isinstance(loaded, type) else loaded
    missing = [name for name in _MEMBERS if not hasattr(provider, name)]
    if missing:
        raise UnusableProviderError(f"it lacks {', '.join(missing)}, which providers of this version have")
    if provider.name != entry.name:
        raise UnusableProviderError(f"it calls itself {provider.name!r}")
    unread = [entity.value for entity in provider.entities if entity not in provider.capabilities.reading]
    if unread or not all(isinstance(entity, Entity) for entity in provider.entities):
        raise UnusableProviderError(f"it does not declare how to read {', '.join(unread) or 'its entities'}")
    for entity, reading in provider.capabilities.reading.items():
        axes = entity_table(entity).axes
        if reading.axis is not None and reading.axis not in axes:
            raise UnusableProviderError(f"the axis of {entity.value} is to be {' or '.join(axes)}, or None")
    usable: Provider = provider
    return usable


_MEMBERS = sorted(
    {name for name in vars(Provider) if not name.startswith("_")} | set(Provider.__annotations__),
)

_FOUND = find_providers(entry_points(group=GROUP))
PROVIDERS: dict[str, Provider] = _FOUND.usable
"""The providers by name, ours first."""


def find_provider(name: str) -> Provider:
    """The provider with that name, or InvalidInputError that lists those there are."""
    provider = PROVIDERS.get(name)
    if provider is not None:
        return provider
    if name in _FOUND.unusable:
        raise InvalidInputError(
            f"There is no provider {name!r}: {_FOUND.unusable[name]}. Mend or remove that package.",
            code=ErrorCode.PROVIDER_UNKNOWN,
        )
    if not PROVIDERS:
        raise InvalidInputError(
            f"Unknown provider {name!r}, and no others are known: this package's own metadata are missing or too old. "
            "Install it again, as with: make install",
            code=ErrorCode.PROVIDER_UNKNOWN,
        )
    raise InvalidInputError(
        f"Unknown provider {name!r}: choose from {', '.join(PROVIDERS)}.", code=ErrorCode.PROVIDER_UNKNOWN
    )
