"""Which credentials a configuration may hold: the rules that hold however they are given."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.errors import InvalidInputError, RefusedValueError
from cyphera_pipelines.providers.addresses import check_base_url
from cyphera_pipelines.providers.base import Provider, UnusableAccessError, WebhookProof
from cyphera_pipelines.security.encryption import DecryptionError
from cyphera_pipelines.security.platform_key import NoPlatformKeyError, platform_key
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.settings import Settings

SECRET = "webhook_secret"  # noqa: S105
"""The name of the one credential whose former value stays valid for a while."""
OPTIONS = "options"
"""The name of the field of the credentials that is no secret."""
PRINTABLE = r"^[!-~]{1,512}$"
"""Printable ASCII without spaces: whatever else was pasted is no key."""
AS_IN_BASIC_AUTH = r"(?=.{3,512}$)[^:\x00-\x1f\x7f]+:[^\x00-\x1f\x7f]+"
"""A user and a password, between them a colon, which the user holds none of."""


class OtherModeError(RefusedValueError):
    """The key is not of the mode that it has to be of: `key` is "live" or "test", and `wanted` the other."""

    def __init__(self, key: str, wanted: str) -> None:
        super().__init__(
            "configuration.api_key",
            f"This is a {key} mode key, but is_test_mode is {str(wanted == 'test').lower()}.",
            f"Give a {wanted} mode key, or set is_test_mode to {str(key == 'test').lower()}.",
        )
        self.key, self.wanted = key, wanted


def check_secret(field: str, name: str, secret: SecretStr) -> SecretStr:
    """Return the secret, or raise RefusedValueError, which does not show it."""
    if not re.fullmatch(PRINTABLE.strip("^$"), secret.get_secret_value()):
        raise RefusedValueError(
            field, f"{name} holds characters that no key has; was something else pasted?", "Copy it again, whole."
        )
    return secret


def check_webhook_secret(provider: Provider, field: str, secret: SecretStr) -> SecretStr:
    """Return the secret that proves the provider's webhooks, or raise RefusedValueError, which does not show it."""
    if provider.webhook_proof is not WebhookProof.BASIC_AUTH:
        return check_secret(field, "The webhook secret", secret)
    if not re.fullmatch(AS_IN_BASIC_AUTH, secret.get_secret_value()):
        raise RefusedValueError(
            field,
            f"{provider.title}'s webhooks come with a user and a password, and this is not both.",
            "Give them as user:password, as they were given to the provider for the webhook.",
        )
    return secret


def settle_mode(provider: Provider, opening: Credentials, is_test_mode: bool | None) -> bool:
    """The mode that the configuration is for: as given, or as the credentials tell. RefusedValueError if they disagree.

    `opening` are those that open the account: see `opening_credentials`.
    """
    told = provider.is_test_mode(opening)
    if is_test_mode is None:
        is_test_mode = told
    if is_test_mode is None:
        raise RefusedValueError(
            "is_test_mode", "This key does not tell whether it is for test mode.", "Say which: true or false."
        )
    if told is not None and told is not is_test_mode:
        key, wanted = ("live", "test") if is_test_mode else ("test", "live")
        raise OtherModeError(key, wanted)
    return is_test_mode


def change_credentials(
    provider: Provider,
    read_present: Callable[[], Credentials],
    given: Mapping[str, Any],
    *,
    connected_account_id: str | None,
    is_test_mode: bool,
    settings: Settings,
) -> Credentials:
    """The present credentials with those that are given in their place, checked like new ones.

    A new API key mends a configuration whose stored value no longer opens. Raises RefusedValueError, and
    DecryptionError.
    """
    try:
        present = read_present()
        plain = {name: value for name, value in given.items() if name not in (SECRET, OPTIONS)}
        options = {**present.options, **given.get(OPTIONS, {})}
        credentials = present.model_copy(update={**plain, OPTIONS: options})
        if "api_key" in given:
            credentials = credentials.model_copy(update={"uses_platform_key": False})
        if SECRET in given:
            credentials = credentials.with_webhook_secret(given[SECRET])
    except DecryptionError:
        if "api_key" not in given:
            raise
        credentials = Credentials(**given)
    for secret in credentials.secret_values():
        register_secret(secret)
    if given.get("base_url") is not None:
        check_own_address(credentials)
    credentials = check_credentials(provider, credentials, connected_account_id, settings)
    settle_mode(provider, opening_credentials(provider, credentials, settings), is_test_mode)
    return credentials


def opening_credentials(provider: Provider, credentials: Credentials, settings: Settings) -> Credentials:
    """The credentials with the key that opens the account: their own or the platform's, which is not to be stored.

    Raises RefusedValueError if there is none.
    """
    if not credentials.uses_platform_key:
        return credentials
    try:
        return credentials.model_copy(update={"api_key": platform_key(provider.name, settings)})
    except NoPlatformKeyError:
        raise RefusedValueError(
            "configuration.api_key",
            "No API key is given, and the operator deploys none of the platform's.",
            "Give the API key of the account.",
        ) from None


def check_options(provider: Provider, options: Mapping[str, str]) -> dict[str, str]:
    """The options that are not empty. RefusedValueError for one that is not as the provider declares, or is missing."""
    known = {option.name: option for option in provider.options}
    field = f"configuration.{OPTIONS}"
    given = {name: value.strip() for name, value in options.items() if value.strip()}
    for name, value in given.items():
        option = known.get(name)
        if option is None:
            remedy = f"It has: {', '.join(known)}." if known else "It has none."
            raise RefusedValueError(f"{field}.{name[:64]}", f"{provider.title} has no such option.", remedy)
        if not re.fullmatch(option.pattern, value):
            remedy = f"{option.help} For example: {option.example}"
            raise RefusedValueError(f"{field}.{name}", f"This is no {option.title}.", remedy)
    for option in provider.options:
        if option.is_required and option.name not in given:
            problem = f"{provider.title} needs the option {option.name}."
            raise RefusedValueError(f"{field}.{option.name}", problem, f"{option.help} For example: {option.example}")
    return given


def check_own_address(credentials: Credentials) -> None:
    """Raise RefusedValueError if a tenant would have the platform's key sent to an address of its choice."""
    if credentials.uses_platform_key and credentials.base_url is not None:
        raise RefusedValueError(
            "configuration.base_url",
            "A configuration without an API key of its own is read at the provider's own address.",
            "Leave base_url out, or give an API key.",
        )


def check_credentials(
    provider: Provider, credentials: Credentials, connected_account_id: str | None, settings: Settings
) -> Credentials:
    """Return the credentials with their address normalised, and without options that are empty.

    Raises RefusedValueError for an address that is not allowed, for options that are not the provider's, and for a key
    that cannot be used for that connected account (None is the key's own).
    """
    credentials = credentials.model_copy(update={OPTIONS: check_options(provider, credentials.options)})
    opening = opening_credentials(provider, credentials, settings)
    if not credentials.uses_platform_key:
        check_secret("configuration.api_key", "The API key", credentials.api_key)
    try:
        provider.check_access(opening, connected_account_id)
    except UnusableAccessError as error:
        raise RefusedValueError(error.field, error.problem, error.remedy) from None
    if credentials.webhook_secret is not None:
        check_webhook_secret(provider, "configuration.webhook_secret", credentials.webhook_secret)
    if credentials.base_url is None:
        return credentials
    try:
        base_url = check_base_url(credentials.base_url, settings)
    except InvalidInputError as error:
        remedy = "Leave it out to use the provider's own address."
        raise RefusedValueError("configuration.base_url", str(error), remedy) from None
    return credentials.model_copy(update={"base_url": base_url})
