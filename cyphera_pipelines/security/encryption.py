"""Credentials at rest: AES-256-GCM, bound to the row that they belong to.

An envelope reads `v1.<key id>.<base64 of nonce and ciphertext>`. The additional data names workspace, configuration and
provider, or the channel of alerts, so that a ciphertext moved to another row does not open.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError, InvalidInputError

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = "v1"


class DecryptionError(CypheraError):
    """A stored configuration does not open; the message names the configuration."""

    code = ErrorCode.CREDENTIALS_UNREADABLE


class Bound(Protocol):
    """The row that a ciphertext belongs to."""

    def additional_data(self) -> bytes:
        """The bytes that are authenticated together with the ciphertext."""

    def described(self) -> str:
        """The row, for people."""

    @property
    def remedy(self) -> str:
        """What to do if the value was altered."""


@dataclass(frozen=True)
class Binding:
    """The row that a ciphertext belongs to: a configuration's, or that of a write for its account."""

    workspace_id: UUID
    configuration_id: UUID
    provider: str
    write_id: UUID | None = None

    def additional_data(self) -> bytes:
        """The bytes that are authenticated together with the ciphertext."""
        of_configuration = f"{self.workspace_id}|{self.configuration_id}|{self.provider}"
        return (of_configuration if self.write_id is None else f"{of_configuration}|{self.write_id}").encode()

    def described(self) -> str:
        """The row, for people."""
        configuration = f"onfiguration {self.configuration_id} of workspace {self.workspace_id} ({self.provider})"
        return f"C{configuration}" if self.write_id is None else f"Write {self.write_id} of c{configuration}"

    @property
    def remedy(self) -> str:
        """What to do if the value was altered."""
        return "Enter its credentials again." if self.write_id is None else "It cannot be settled any more."


@dataclass(frozen=True)
class ChannelBinding:
    """The row of a channel of alerts; `workspace_id` is None for one of the deployment's."""

    channel_id: UUID
    workspace_id: UUID | None

    def additional_data(self) -> bytes:
        """The bytes that are authenticated together with the ciphertext."""
        return f"alert channel|{self.channel_id}|{self.workspace_id}".encode()

    def described(self) -> str:
        """The row, for people."""
        whose = "the deployment" if self.workspace_id is None else f"workspace {self.workspace_id}"
        return f"Channel {self.channel_id} of {whose}"

    @property
    def remedy(self) -> str:
        """What to do if the value was altered."""
        return "Remove it and add it anew."


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
                f"{variable} must be base64 of {KEY_BYTES} bytes; make one with: openssl rand -base64 {KEY_BYTES}",
                code=ErrorCode.ENCRYPTION_KEY_UNUSABLE,
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

    def encrypt(self, plaintext: bytes, binding: Bound) -> str:
        """Return the envelope of `plaintext` for the row that `binding` names."""
        key = self.newest().current
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(key.value).encrypt(nonce, plaintext, binding.additional_data())
        return f"{VERSION}.{key.key_id}.{base64.b64encode(nonce + sealed).decode()}"

    def fingerprint(self, text: bytes) -> str:
        """What tells this text from others to holders of the key alone: nobody else can find it by guessing."""
        key = self.newest().current
        return f"{key.key_id}.{_keyed_digest(key, text)}"

    def is_of(self, fingerprint: str, text: bytes) -> bool:
        """Whether the fingerprint is of this text; it is not if its key is gone."""
        key_id, _, digest = fingerprint.partition(".")
        key = self.newest().key(key_id)
        return key is not None and hmac.compare_digest(_keyed_digest(key, text), digest)

    def decrypt(self, envelope: str, binding: Bound) -> bytes:
        """Return the plaintext, or raise DecryptionError that names the configuration and the reason."""
        where = binding.described()
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
                f"{where} cannot be decrypted: the value was altered or belongs to another row. {binding.remedy}"
            ) from None


def _keyed_digest(key: EncryptionKey, text: bytes) -> str:
    # Under a key of its own, so that neither use of the same 256 bits says anything of the other.
    own = hmac.digest(key.value, b"cyphera fingerprint", "sha256")
    return hmac.digest(own, text, "sha256").hex()
