"""How often wrong keys may be tried. For one event loop: each of the server's processes counts for itself.

A key cannot be guessed, having 256 random bits; but nobody shall keep the server busy trying. Only wrong keys count.
An address that has tried too many is not listened to for a while. When many addresses do so at once, none of them is
listened to any more, and all others are: so that no stranger, from however many places, keeps an operator out who
has not mistyped his key again and again himself.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

OF_ONE_ADDRESS, OF_ONE_ADDRESS_EVERY = 5, 12.0
"""Wrong keys that an address may try at once, and the seconds after which it may try one more."""
IN_ALL, IN_ALL_EVERY = 60, 1.0
"""The same of all addresses together: beyond, those that have tried a wrong key lately are not listened to."""
MOST_ADDRESSES = 10_000


class SignInAttempts:
    """What was tried lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of_address: OrderedDict[str, float] = OrderedDict()
        """When each address will have nothing held against it any more."""
        self._in_all = 0.0

    def wait_of(self, address: str) -> int:
        """For how many seconds the address is not listened to; 0 is at once."""
        now = self._clock()
        own = self._of_address.get(_network(address), 0.0)
        wait = own - now - (OF_ONE_ADDRESS - 1) * OF_ONE_ADDRESS_EVERY
        if own > now:
            wait = max(wait, self._in_all - now - (IN_ALL - 1) * IN_ALL_EVERY)
        return max(0, math.ceil(wait))

    def note_attempt(self, address: str) -> None:
        """Hold a key against the address, before it is looked at: others may come meanwhile."""
        now, network = self._clock(), _network(address)
        self._of_address[network] = max(self._of_address.pop(network, 0.0), now) + OF_ONE_ADDRESS_EVERY
        self._in_all = max(self._in_all, now) + IN_ALL_EVERY
        while len(self._of_address) > MOST_ADDRESSES:
            self._of_address.popitem(last=False)

    def forgive(self, address: str) -> None:
        """Take back what was held against the address last: the key was right."""
        network = _network(address)
        if network in self._of_address:
            self._of_address[network] -= OF_ONE_ADDRESS_EVERY
        self._in_all -= IN_ALL_EVERY


def _network(address: str) -> str:
    """Whoever has one address of IPv6 has the 2**64 beside it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
