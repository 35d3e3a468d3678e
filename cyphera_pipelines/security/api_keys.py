"""Keys: `cyk_<id>_<secret>` a workspace's, `cyo_...` an operator's. Of the secret a hash is kept: it is shown once."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID, uuid4

from cyphera_pipelines.security.secrets import register_secret

SECRET_BYTES = 32


class KeyKind(StrEnum):
    """Whose a key is: what its text begins with."""

    WORKSPACE = "cyk"
    OPERATOR = "cyo"


_SHAPE = re.compile(r"(cy[ko])_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class PresentedKey:
    """A key as a client sends it: the id of its row, and the secret that proves it."""

    id: UUID
    secret: str = field(repr=False)
    kind: KeyKind = KeyKind.WORKSPACE

    def as_text(self) -> str:
        """What the client sends."""
        return f"{self.kind}_{self.id.hex}_{self.secret}"

    def digest(self) -> bytes:
        """What is kept of the secret: its SHA-256. With 256 random bits behind it, no salt or slow hash is needed."""
        return hashlib.sha256(self.secret.encode()).digest()

    def matches(self, digest: bytes) -> bool:
        """Whether this is the key whose digest was kept, compared in constant time."""
        return hmac.compare_digest(self.digest(), digest)


def new_key(kind: KeyKind = KeyKind.WORKSPACE) -> PresentedKey:
    """A random key. It is registered as a secret: no log or error will show it."""
    key = PresentedKey(uuid4(), secrets.token_urlsafe(SECRET_BYTES), kind)
    register_secret(key.secret)
    return key


def parse_key(text: str, kind: KeyKind = KeyKind.WORKSPACE) -> PresentedKey | None:
    """The key that the text is, or None if it cannot be one of that kind."""
    found = _SHAPE.fullmatch(text)
    return PresentedKey(UUID(hex=found[2]), found[3], kind) if found and found[1] == kind else None
