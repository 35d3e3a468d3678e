"""Standard output that says what keeps it from being written: a full disk is no error of ours."""

import io
import os
import sys
from typing import TYPE_CHECKING

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputError(CypheraError):
    """Standard output cannot be written, and not because its reader has seen enough."""

    code = ErrorCode.FILE_UNUSABLE


class _Output(io.FileIO):
    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(
                f"The output cannot be written: {error.strerror or error}. What the command did otherwise is done; "
                "send its output elsewhere, or make room for it."
            ) from None


def let_output_tell_its_trouble() -> None:
    """From now on writing to standard output raises OutputError, and BrokenPipeError, where it cannot be written."""
    plain = sys.stdout
    if not isinstance(plain, io.TextIOWrapper):
        return
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(plain.fileno(), "w", closefd=False)),
        encoding=plain.encoding,
        errors=plain.errors,
        line_buffering=plain.line_buffering,
        write_through=plain.write_through,
    )


def give_output_up() -> None:
    """Let what could not be written be forgotten: the interpreter tries once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
