"""Credentials at rest: AES-256-GCM, bound to the row that they belong to.

An envelope reads `v1.<key id>.<base64 of nonce and ciphertext>`. The additional data names workspace, configuration and
provider, so that a ciphertext moved to another row does not open.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cyphera_pipelines.model.errors import CypheraError, InvalidInputError

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = "v1"


class DecryptionError(CypheraError):
    """A stored configuration does not open; the message names the configuration."""


@dataclass(frozen=True)
class Binding:
    """The row that a ciphertext belongs to."""

    workspace_id: UUID
    configuration_id: UUID
    provider: str

    def additional_data(self) -> bytes:
        """The bytes that are authenticated together with the ciphertext."""
        return f"{self.workspace_id}|{self.configuration_id}|{self.provider}".encode()


@dataclass(frozen=True, repr=False)
class EncryptionKey:
    """A 256-bit key. Its id is derived from it, so that an envelope says which key opens it."""

    value: bytes

    @classmethod
    def generate(cls) -> "EncryptionKey":
        """A new random key."""
        return cls(os.urandom(KEY_BYTES))

    @classmethod
    def from_base64(cls, text: str, *, variable: str) -> "EncryptionKey":
        """Read base64 of 32 bytes, or raise InvalidInputError that names the variable it came from."""
        try:
            value = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            value = b""
        if len(value) != KEY_BYTES:
            raise InvalidInputError(
                f"{variable} must be base64 of {KEY_BYTES} bytes; make one with: openssl rand -base64 {KEY_BYTES}"
            )
        return cls(value)

    def to_base64(self) -> str:
        """The form in which the key is kept in a file or a variable."""
        return base64.b64encode(self.value).decode()

    @property
    def key_id(self) -> str:
        """Eight hexadecimal digits that name the key without telling it."""
        return hashlib.sha256(b"cyphera key id" + self.value).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"EncryptionKey(key_id={self.key_id!r})"


def key_id_of(envelope: str) -> str | None:
    """Which key opens the envelope; None for what is none."""
    version, _, rest = envelope.partition(".")
    key_id, _, body = rest.partition(".")
    return key_id if version == VERSION and body else None


@dataclass(frozen=True)
class Keyring:
    """The key that encrypts, and the older ones that may still have to decrypt.

    `renew` reads the keys anew where they may be rotated while we run: now and then, or at once if it is given True.
    """

    current: EncryptionKey
    previous: tuple[EncryptionKey, ...] = ()
    renew: "Callable[[bool], Keyring] | None" = field(default=None, compare=False, repr=False)

    def newest(self) -> "Keyring":
        """The keys as they are now: encrypt with these."""
        return self if self.renew is None else self.renew(False)

    def key(self, key_id: str) -> EncryptionKey | None:
        """The key of that id, if it is here."""
        return next((key for key in (self.current, *self.previous) if key.key_id == key_id), None)

    def encrypt(self, plaintext: bytes, binding: Binding) -> str:
        """Return the envelope of `plaintext` for the row that `binding` names."""
        key = self.newest().current
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(key.value).encrypt(nonce, plaintext, binding.additional_data())
        return f"{VERSION}.{key.key_id}.{base64.b64encode(nonce + sealed).decode()}"

    def decrypt(self, envelope: str, binding: Binding) -> bytes:
        """Return the plaintext, or raise DecryptionError that names the configuration and the reason."""
        where = f"Configuration {binding.configuration_id} of workspace {binding.workspace_id} ({binding.provider})"
        key_id = key_id_of(envelope)
        if key_id is None:
            raise DecryptionError(f"{where} cannot be decrypted: its stored value is not an encrypted configuration.")
        key = self.newest().key(key_id)
        if key is None and self.renew is not None:
            key = self.renew(True).key(key_id)
        if key is None:
            raise DecryptionError(
                f"{where} cannot be decrypted: it was encrypted with key {key_id}, which is not configured. "
                "Add that key to PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS."
            )
        try:
            sealed = base64.b64decode(envelope.rpartition(".")[2], validate=True)
            return AESGCM(key.value).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], binding.additional_data())
        except (InvalidTag, binascii.Error, ValueError):
            raise DecryptionError(
                f"{where} cannot be decrypted: the value was altered or belongs to another configuration. "
                "Enter its credentials again."
            ) from None
