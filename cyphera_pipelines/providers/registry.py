"""The providers that there are."""

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import Provider
from cyphera_pipelines.providers.stripe.provider import StripeProvider

PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in (StripeProvider(),)}
"""Registered providers by name."""


def find_provider(name: str) -> Provider:
    """The provider with that name, or InvalidInputError that lists those there are."""
    try:
        return PROVIDERS[name]
    except KeyError:
        raise InvalidInputError(f"Unknown provider {name!r}: choose from {', '.join(PROVIDERS)}.") from None
