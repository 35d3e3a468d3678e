"""The platform's own key: it opens the accounts that are connected to the platform, each of which is a tenant's."""

from pydantic import SecretStr

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.security.deployed import deployed_value
from cyphera_pipelines.settings import Settings


class NoPlatformKeyError(InvalidInputError):
    """The operator deploys no key of the platform at that provider."""

    code = ErrorCode.PLATFORM_KEY_MISSING

    def __init__(self, provider: str, variable: str | None) -> None:
        remedy = "Give the configuration a key of its own."
        if variable is not None:
            remedy = (
                f"An operator sets {variable}, {variable}_FILE or {variable}_ARN; or: {remedy[:1].lower()}{remedy[1:]}"
            )
        super().__init__(f"No API key of the platform at {provider} is deployed. {remedy}")


def platform_key(provider: str, settings: Settings) -> SecretStr:
    """The platform's key at the provider as it is now. Raises NoPlatformKeyError, and CypheraError if it is unreadable.

    It is never stored with a configuration, so that a rotated one is used by all sources within minutes.
    """
    place = settings.deployed_api_key(provider)
    value = None if place is None else deployed_value(place)
    if value is None or not value.present.get_secret_value().strip():
        raise NoPlatformKeyError(provider, None if place is None else place.variable)
    return value.present
