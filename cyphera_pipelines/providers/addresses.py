"""Which addresses a configuration may send its requests to."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.registry import PROVIDERS
from cyphera_pipelines.settings import Settings


def check_base_url(base_url: str, settings: Settings) -> str:
    """Return the address without a trailing slash, or raise InvalidInputError.

    Allowed are the hosts in `CYPHERA_PROVIDER_HOSTS` (each provider's own by default; `.host` stands for every host
    beneath it), over https; in embedded mode also this machine (loopback), over http or https. Anything else would let
    a tenant aim requests at inner networks.
    """
    problem = InvalidInputError(f"base_url {base_url!r} is not an address; write https://host or https://host:port.")
    try:
        parts = urlsplit(base_url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise problem from None
    # What is left out or bent by one parser and not by another must not get past this one.
    is_odd = not base_url.isprintable() or " " in base_url or "\\" in base_url
    if parts.scheme not in ("http", "https") or not host or is_odd:
        raise problem
    if any(character in base_url for character in "@?#"):
        raise InvalidInputError(
            "base_url must not hold a user name, a query or a fragment.", code=ErrorCode.ADDRESS_NOT_ALLOWED
        )
    if settings.is_embedded and is_loopback(host):
        return base_url.rstrip("/")
    allowed = settings.provider_hosts or tuple(provider.default_host for provider in PROVIDERS.values())
    if host not in allowed and f"{host}:{port}" not in allowed and not _is_beneath(host, allowed):
        raise InvalidInputError(
            f"base_url may not point to {host!r}; allowed are {', '.join(allowed)}"
            + (" and loopback addresses" if settings.is_embedded else "")
            + ". The operator can add hosts with CYPHERA_PROVIDER_HOSTS.",
            code=ErrorCode.ADDRESS_NOT_ALLOWED,
        )
    if parts.scheme != "https" and not is_loopback(host):
        raise InvalidInputError(f"base_url must use https for {host!r}.", code=ErrorCode.ADDRESS_NOT_ALLOWED)
    return base_url.rstrip("/")


def _is_beneath(host: str, allowed: Iterable[str]) -> bool:
    return any(host.endswith(each) for each in allowed if each.startswith("."))


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name: nothing is looked up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
