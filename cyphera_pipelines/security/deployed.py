"""Secrets that the operator deploys: as a variable, in a file (Docker, Kubernetes), or in AWS Secrets Manager.

What is in a file or in AWS may be rotated while we run: it is read anew after a while, and at once where somebody finds
that it no longer fits.
"""

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.security.secrets_manager import read_secret
from cyphera_pipelines.settings import DeployedSecret, read_secret_file

KEPT_SECONDS = 300.0
"""How long what was read is used before it is read anew."""

LEAST_SECONDS = 10.0
"""Between two readings: who presents what can never fit makes us ask no more often."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SecretValue:
    """A secret's present value, and the one before it where the place keeps it."""

    present: SecretStr
    former: SecretStr | None = None


@dataclass
class _Kept:
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: SecretValue | None = None
    read_at: float = 0.0


_kept: dict[DeployedSecret, _Kept] = {}
_kept_lock = threading.Lock()


def deployed_value(secret: DeployedSecret, *, fresh: bool = False) -> SecretValue | None:
    """The secret's value, or None if the operator deploys none. An ARN wins over a file or variable.

    What is read is used for KEPT_SECONDS; `fresh` reads it anew, unless that was done within LEAST_SECONDS. Where it
    cannot be read anew for its time only, the last value goes on being used. Raises CypheraError with one plain line.
    """
    if secret.arn is None and secret.file is None:
        return None if secret.value is None else _registered(SecretValue(secret.value))
    with _kept_lock:
        kept = _kept.setdefault(secret, _Kept())
    # One asks, the others wait for its answer.
    with kept.lock:
        age = time.monotonic() - kept.read_at
        if kept.value is None or age >= (LEAST_SECONDS if fresh else KEPT_SECONDS):
            try:
                kept.value = _read(secret)
            except CypheraError as error:
                if kept.value is None or fresh:
                    raise
                _log.warning("%s The value that was read before is used.", error)
            kept.read_at = time.monotonic()
        return _registered(kept.value)


def _read(secret: DeployedSecret) -> SecretValue:
    if secret.arn is not None:
        return SecretValue(*read_secret(secret.arn, secret.variable))
    return SecretValue(read_secret_file(Path(secret.file or ""), f"{secret.variable}_FILE"))


def _registered(value: SecretValue) -> SecretValue:
    for each in (value.present, value.former):
        if each is not None:
            register_secret(each.get_secret_value())
    return value
