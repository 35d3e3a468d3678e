"""The errors that a person reads."""


class CypheraError(Exception):
    """Something that a person has to know about or act on.

    The message is one or two plain sentences: what happened, to which workspace and source, and what to do.
    It never holds a secret. The command line prints it without a traceback; the API turns it into a problem document.
    """


class NotFoundError(CypheraError):
    """The named workspace, source or session does not exist (or is not this workspace's)."""


class ConflictError(CypheraError):
    """The request is well formed but the present state does not allow it."""


class InvalidInputError(CypheraError):
    """A value given by a person or a client is not acceptable; the message names the value and the remedy."""
