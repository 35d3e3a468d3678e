"""The errors that a person reads."""

from cyphera_pipelines.model.error_codes import ErrorCode


class CypheraError(Exception):
    """Something that a person has to know about or act on.

    The message is one or two plain sentences: what happened, to which workspace and source, and what to do.
    It never holds a secret. The command line prints it without a traceback; the API turns it into a problem document.
    `code` says for programs what kind of error it is: its class has one, and who raises it may know better.
    """

    code = ErrorCode.UNEXPECTED

    def __init__(self, message: str, *, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class NotFoundError(CypheraError):
    """The named workspace, source or session does not exist (or is not this workspace's)."""

    code = ErrorCode.NOT_FOUND


class ConflictError(CypheraError):
    """The request is well formed but the present state does not allow it."""

    code = ErrorCode.CONFLICT


class InvalidInputError(CypheraError):
    """A value given by a person or a client is not acceptable; the message names the value and the remedy."""

    code = ErrorCode.INVALID_REQUEST


class RefusedValueError(InvalidInputError):
    """A value is not acceptable: `field` names where it was given, `problem` says why, `remedy` what to do."""

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy
