"""What an API key may do: each level may do all that the ones before it may."""

from enum import StrEnum

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError


class KeyLevel(StrEnum):
    """`read` asks only; `sync` also keeps the tables; `write` also writes at providers; `admin` where money goes to."""

    READ = "read"
    SYNC = "sync"
    WRITE = "write"
    ADMIN = "admin"

    def allows(self, needed: "KeyLevel") -> bool:
        """Whether a key of this level may do what needs that one."""
        levels = list(KeyLevel)
        return levels.index(self) >= levels.index(needed)


class KeyExpiredError(CypheraError):
    """The key was right, and its time is over."""

    code = ErrorCode.KEY_EXPIRED
