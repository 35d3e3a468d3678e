"""Where the encryption key comes from: the environment, or in embedded mode a file made once."""

import contextlib
import os
import tempfile
from pathlib import Path

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.security.encryption import EncryptionKey, Keyring
from cyphera_pipelines.settings import Settings

KEY_FILE = "encryption.key"


def load_keyring(settings: Settings) -> Keyring:
    """The process's keys.

    `PAYMENT_SYNC_ENCRYPTION_KEY` wins. In embedded mode a key file (mode 0600) is made under the home on first use;
    with a database of one's own, a missing key is an InvalidInputError.
    """
    previous = tuple(
        EncryptionKey.from_base64(key.get_secret_value(), variable="PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS")
        for key in settings.previous_encryption_keys
    )
    if settings.encryption_key is not None:
        text = settings.encryption_key.get_secret_value()
        return Keyring(EncryptionKey.from_base64(text, variable="PAYMENT_SYNC_ENCRYPTION_KEY"), previous)
    if not settings.is_embedded:
        raise InvalidInputError(
            "PAYMENT_SYNC_ENCRYPTION_KEY is not set; credentials cannot be read or written without it. "
            "Set it to base64 of 32 bytes (openssl rand -base64 32) and keep a copy in a safe place."
        )
    return Keyring(_key_from_file(settings.home / KEY_FILE), previous)


def _key_from_file(path: Path) -> EncryptionKey:
    if not path.exists():
        _create_key_file(path)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise InvalidInputError(f"{path} can be read by others (mode {mode:04o}); run: chmod 600 {path}")
    return EncryptionKey.from_base64(path.read_text(), variable=str(path))


def _create_key_file(path: Path) -> None:
    """Write a new key. Who loses a race keeps the winner's key; who is killed leaves no half-written one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".key") as draft:  # made with mode 0600
        draft.write(EncryptionKey.generate().to_base64() + "\n")
        draft.flush()
        os.fsync(draft.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft.name, path)
