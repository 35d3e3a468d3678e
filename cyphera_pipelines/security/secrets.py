"""Keeping secrets out of whatever a person or a machine may read.

Two nets: every secret that is decrypted or given is registered and cut out wherever text leaves, and anything that
looks like a provider's key or one of ours is cut out even if nobody registered it.

What is registered holds for the whole process, or inside `secrets_of_one_request` for that request only: a tenant whose
key is an ordinary word garbles nobody else's texts, and a server's memory does not fill with what it once was sent.
"""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

MASK = "***"
SHORTEST_SECRET = 6
"""Characters. Shorter values would only garble texts."""
_KEY_SHAPES = re.compile(
    r"\b((?:sk|rk|pk)_(?:live|test)_|(?:sk|rk)_org_(?:(?:live|test)_)?|whsec_|cy[ko]_)[A-Za-z0-9_+/=-]{6,}"
)


class _Secrets:
    """Secrets that several threads may add to. `longest_first` is replaced, never changed: reading needs no lock."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._adding = threading.Lock()
        self.longest_first: tuple[str, ...] = ()

    def add(self, value: str) -> None:
        with self._adding:
            self._known.add(value)
            self.longest_first = _sorted(self._known)


_of_process = _Secrets()
_of_request: ContextVar[_Secrets | None] = ContextVar("secrets_of_request", default=None)


@contextmanager
def secrets_of_one_request() -> Iterator[None]:
    """A context in which secrets are registered for what is done in it only, and forgotten with it.

    Threads that run in a copy of this context share its secrets, also after it was left.
    """
    outer = _of_request.set(_Secrets())
    try:
        yield
    finally:
        _of_request.reset(outer)


def register_secret(value: str) -> None:
    """From now on `redact` cuts this value out: in this request, or outside of requests in the whole process."""
    of_request = _of_request.get()
    secrets = _of_process if of_request is None else of_request
    if len(value) >= SHORTEST_SECRET and value not in secrets.longest_first:
        secrets.add(value)


def redact(text: str) -> str:
    """The text without any known or likely secret."""
    for secret in _known_here():
        if secret in text:
            text = text.replace(secret, MASK)
    return _KEY_SHAPES.sub(lambda match: f"{match.group(1)}{MASK}", text)


def redact_values(value: Any) -> Any:
    """The JSON value with every text in it redacted, keys too. It stays JSON, whatever the secrets are."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact_values(key): redact_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(item) for item in value]
    return value


def _known_here() -> tuple[str, ...]:
    of_request = _of_request.get()
    if of_request is None or not of_request.longest_first:
        return _of_process.longest_first
    return _sorted({*_of_process.longest_first, *of_request.longest_first})


def _sorted(secrets: set[str]) -> tuple[str, ...]:
    """A secret may hold another one: the longer is to be cut out whole."""
    return tuple(sorted(secrets, key=len, reverse=True))


class RedactingFilter(logging.Filter):
    """Cuts secrets out of log records, their arguments and tracebacks included."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; always let it pass."""
        record.msg = redact(record.getMessage())
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            # Another handler may have written it already.
            record.exc_text = redact(record.exc_text)
        return True
