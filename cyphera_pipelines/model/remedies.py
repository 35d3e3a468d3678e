"""What to do about a failure: for whoever has the command line, and for people of a workspace, who have none."""

import re

from cyphera_pipelines.model.error_codes import ErrorCode, WhoActs

_COMMAND = re.compile(r"\bcyphera [a-z]")
_LAST_COMMAND = re.compile(r": cyphera [a-z][^.]*$")
_COMMAND_IN_BRACKETS = re.compile(r" \(cyphera [a-z][^)]*\)")

_OF_THE_CONNECTION = frozenset(
    {
        ErrorCode.CREDENTIALS_REJECTED,
        ErrorCode.ACCOUNT_NOT_OPEN,
        ErrorCode.ACCESS_UNUSABLE,
        ErrorCode.PROVIDER_UNREACHABLE,
        ErrorCode.TIMED_OUT,
        ErrorCode.PROVIDER_UNAVAILABLE,
        ErrorCode.ANSWER_UNREADABLE,
        ErrorCode.PROVIDER_ERROR,
    }
)
"""What a test of the connection would meet too: it tells at once whether it is over."""


def remedy_of_failure(code: str | None, slug: str, provider: str) -> str:
    """What an operator does about a sync that failed, or was not complete, with that error code."""
    known, test = _known(code), f"Try the connection: cyphera source test {slug} {provider}"
    if known is None:
        return test
    return f"{known.remedy} {test}" if known in _OF_THE_CONNECTION else known.remedy


def remedy_of_failure_for_workspace(code: str | None) -> str:
    """The same for people of the workspace, who have its key and the operations page, and no command line."""
    known = _known(code)
    if known is not None and not _COMMAND.search(known.remedy):
        return known.remedy
    if known is not None and known.who is WhoActs.OPERATOR:
        return "Tell whoever runs this installation."
    return "Test the connection of its configuration."


def without_commands(text: str) -> str:
    """The text for people who have no command line: what is to be done, without the command that does it."""
    return _LAST_COMMAND.sub(".", _COMMAND_IN_BRACKETS.sub("", text))


def _known(code: str | None) -> ErrorCode | None:
    # Another version may have written a code that is not known here.
    return next((each for each in ErrorCode if each.value == code), None)
