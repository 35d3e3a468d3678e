"""A Stripe-shaped provider that misbehaves, over real HTTP on loopback.

`HostileProvider` answers like Stripe with the objects that it is given; `misbehave(path, how)` changes the answers to
the requests whose path fits, with one of the ways in `misbehaviour`, or a function of one's own.
"""

from cyphera_pipelines_tests.hostile.server import Asked, HostileProvider, Misbehaviour, Wire

__all__ = ["Asked", "HostileProvider", "Misbehaviour", "Wire"]
