"""Where a channel may lead to: a workspace's must not reach into the operator's network, whatever its name says.

A name is resolved once, every address that it has is judged, and the connection is made to one of those: a name that
says something else a moment later changes nothing.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 behind a translator."""


class SendError(CypheraError):
    """A message was not taken; the sentence names no address that the receiver did not have already.

    `was_refused`: by the receiver, which would say the same again.
    """

    code = ErrorCode.ALERT_NOT_TAKEN

    def __init__(self, message: str, *, was_refused: bool = False) -> None:
        super().__init__(message)
        self.was_refused = was_refused


class ForbiddenAddressError(SendError):
    """The name leads to where this channel must not."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host} is, or leads to, a private, local or reserved address, which a workspace's channel may not reach. "
            "The deployment may allow it: CYPHERA_ALERTS_TO_PRIVATE_ADDRESSES",
            was_refused=True,
        )


@dataclass(frozen=True)
class AddressPolicy:
    """Whether a channel may reach addresses that are not of the public internet."""

    may_reach_private: bool


async def resolve(host: str, port: int, policy: AddressPolicy) -> list[str]:
    """The IP addresses to connect to, or SendError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SendError(f"The name {host} is not known to the name server.") from None
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    if not policy.may_reach_private and not all(is_public(address) for address in addresses):
        raise ForbiddenAddressError(host)
    return addresses


def is_public(address: str) -> bool:
    """Whether the IP address is one of the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)
