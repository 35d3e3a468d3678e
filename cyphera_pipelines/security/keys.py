"""Where the encryption keys come from: what the operator deploys, or in embedded mode a file made once."""

import contextlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.security.deployed import deployed_value
from cyphera_pipelines.security.encryption import EncryptionKey, Keyring
from cyphera_pipelines.settings import DeployedSecret, Settings

KEY_FILE = "encryption.key"


def load_keyring(settings: Settings) -> Keyring:
    """The process's keys.

    What is deployed as `PAYMENT_SYNC_ENCRYPTION_KEY` wins. In embedded mode a key file (mode 0600) is made under the
    home on first use; with a database of one's own, a missing key is an InvalidInputError. A file may hold several
    keys, one per line, the newest first; in AWS the version before the last rotation counts as an older key.
    """
    keyring = _read(settings, fresh=False)
    secret = settings.deployed_encryption_key
    is_fixed = secret.arn is None and secret.file is None and settings.previous_encryption_keys_file is None
    return keyring if is_fixed else replace(keyring, renew=lambda fresh: _read(settings, fresh=fresh))


def _read(settings: Settings, *, fresh: bool) -> Keyring:
    secret = settings.deployed_encryption_key
    deployed = deployed_value(secret, fresh=fresh)
    if deployed is not None:
        keys = _keys_of(deployed.present, secret.variable)
        if deployed.former is not None:
            # What was there before may have been no key at all, and been mended.
            with contextlib.suppress(InvalidInputError):
                keys += _keys_of(deployed.former, secret.variable)
    elif settings.is_embedded:
        keys = _keys_from_file(settings.home / KEY_FILE)
    else:
        raise InvalidInputError(
            "PAYMENT_SYNC_ENCRYPTION_KEY is not set; credentials cannot be read or written without it. "
            "Set it to base64 of 32 bytes (openssl rand -base64 32) and keep a copy in a safe place.",
            code=ErrorCode.ENCRYPTION_KEY_UNUSABLE,
        )
    current, *previous = keys
    return Keyring(current, tuple(dict.fromkeys([*previous, *_previous_keys(settings, fresh=fresh)])))


def _previous_keys(settings: Settings, *, fresh: bool) -> list[EncryptionKey]:
    variable = "PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS"
    deployed = deployed_value(
        DeployedSecret(variable, None, settings.previous_encryption_keys_file, arn=None), fresh=fresh
    )
    if deployed is not None:
        return _keys_of(deployed.present, variable)
    return [
        EncryptionKey.from_base64(key.get_secret_value(), variable=variable)
        for key in settings.previous_encryption_keys
    ]


def _keys_of(value: SecretStr, variable: str) -> list[EncryptionKey]:
    """One per line, or between commas."""
    texts = value.get_secret_value().replace(",", "\n").splitlines()
    return [EncryptionKey.from_base64(text, variable=variable) for text in texts if text.strip()] or [
        EncryptionKey.from_base64("", variable=variable)
    ]


def _keys_from_file(path: Path) -> list[EncryptionKey]:
    if not path.exists():
        _create_key_file(path)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise InvalidInputError(
            f"{path} can be read by others (mode {mode:04o}); run: chmod 600 {path}",
            code=ErrorCode.ENCRYPTION_KEY_UNUSABLE,
        )
    return _keys_of(SecretStr(path.read_text()), str(path))


def _create_key_file(path: Path) -> None:
    """Write a new key. Who loses a race keeps the winner's key; who is killed leaves no half-written one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".key") as draft:  # made with mode 0600
        draft.write(EncryptionKey.generate().to_base64() + "\n")
        draft.flush()
        os.fsync(draft.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft.name, path)
