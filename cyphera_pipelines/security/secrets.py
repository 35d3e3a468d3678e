"""Keeping secrets out of whatever a person or a machine may read.

Two nets: every secret that the process decrypts is registered and cut out wherever text leaves the process, and
anything that looks like a provider's key or one of ours is cut out even if nobody registered it.
"""

import logging
import re
import threading

MASK = "***"
_KEY_SHAPES = re.compile(r"\b((?:sk|rk|pk)_(?:live|test)_|whsec_|cyk_)[A-Za-z0-9_+/=-]{6,}")
_registered: set[str] = set()
_longest_first: tuple[str, ...] = ()
_registering = threading.Lock()


def register_secret(value: str) -> None:
    """From now on `redact` cuts this value out. Values too short to be secrets would only garble texts: ignored."""
    global _longest_first
    if len(value) < 6 or value in _registered:
        return
    with _registering:
        _registered.add(value)
        _longest_first = tuple(sorted(_registered, key=len, reverse=True))


def redact(text: str) -> str:
    """The text without any known or likely secret."""
    for secret in _longest_first:
        if secret in text:
            text = text.replace(secret, MASK)
    return _KEY_SHAPES.sub(lambda match: f"{match.group(1)}{MASK}", text)


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
