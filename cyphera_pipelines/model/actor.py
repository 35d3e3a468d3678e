"""Who acts: what the audit trail names for every change."""

import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

API_KEY_PREFIX = "api_key:"
OPERATOR_KEY_PREFIX = "operator_key:"
"""What the ids of whoever holds an API key, and of whoever holds an operator's key, begin with."""


@dataclass(frozen=True)
class Actor:
    """Who changes things: `api_key:7c9e...` with the name that its maker gave it, or `cli:jane@host` without one."""

    id: str
    name: str | None = None


def api_key_actor(key_id: UUID, key_name: str) -> Actor:
    """Whoever holds the API key."""
    return Actor(f"{API_KEY_PREFIX}{key_id}", key_name)


def operator_actor(key_id: UUID, key_name: str) -> Actor:
    """Whoever is signed in with the operator's key."""
    return Actor(f"{OPERATOR_KEY_PREFIX}{key_id}", key_name)


def command_line_actor() -> Actor:
    """The system's user who runs the command line."""
    return Actor(f"cli:{_user_and_host()}")


def current_actor() -> Actor:
    """Who acts in this thread or task: see `acting_as`. Where nobody was named, it is the program itself."""
    return _current.get() or Actor(f"process:{_user_and_host()}")


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Whatever the body changes, the actor does: named once at the door, so that no change can forget to tell."""
    token = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(token)


def _user_and_host() -> str:
    try:
        # Not from the environment, where anybody may call himself anything.
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


_current: ContextVar[Actor | None] = ContextVar("actor", default=None)
