"""What our own login may not do, and an administrator of the server has to."""

from collections.abc import Sequence

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError


class AdministratorNeededError(CypheraError):
    """Something needs more rights than we have; `statements` are what a superuser of the server executes."""

    code = ErrorCode.ADMINISTRATOR_NEEDED

    def __init__(self, reason: str, statements: Sequence[str]) -> None:
        self.reason = reason
        self.statements = tuple(statements)
        super().__init__(
            f"{reason}. As an administrator of the server, execute: {' '.join(self.statements)} "
            "Then run again: cyphera db upgrade"
        )
