"""Running a command: how its errors are told, and its exit code."""

import os
import sys
import traceback

import typer
from sqlalchemy.exc import OperationalError

from cyphera_pipelines.cli.app import app
from cyphera_pipelines.cli.output import print_error, with_code
from cyphera_pipelines.cli.services import wants_traceback
from cyphera_pipelines.cli.standard_output import OutputError, give_output_up, let_output_tell_its_trouble
from cyphera_pipelines.model.actor import acting_as, command_line_actor
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.store.database_errors import error_code_of, reason_of


def run(arguments: list[str]) -> None:
    """Run a command. Errors are one sentence and exit code 1; a traceback only with --debug."""
    let_output_tell_its_trouble()
    try:
        _check_are_text(arguments)
        code = _invoke(arguments)
        sys.stdout.flush()
        sys.exit(code)
    except typer.TyperException as error:
        _refuse_usage(error)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except BrokenPipeError:
        # The reader of our output (`head`, a closed pager) has seen enough.
        give_output_up()
        sys.exit(0)
    except OutputError as error:
        give_output_up()
        _fail(str(error), error.code)
    except CypheraError as error:
        _fail(str(error), error.code)
    except OperationalError as error:
        _fail(f"The database failed: {reason_of(error)}. See that it runs, then try again.", error_code_of(error))
    except Exception as error:
        what = f"{type(error).__name__}: {str(error).rstrip('.')}"
        _fail(f"An error of ours: {what}. Run again with `cyphera --debug ...` for details.", ErrorCode.UNEXPECTED)


def _invoke(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    # Not `app()`: it reports errors in a way of its own, and hides interruptions and exit codes from its caller.
    command = typer.main.get_command(app)
    try:
        with acting_as(command_line_actor()), command.make_context("cyphera", arguments) as context:
            command.invoke(context)
    except typer.Exit as request:
        return request.exit_code
    return 0


def _check_are_text(arguments: list[str]) -> None:
    """Raise CypheraError if there is an argument that is no text: nothing could store, send or print it."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(argument).decode(errors="backslashreplace")
            raise CypheraError(
                f"The argument {shown} is not UTF-8. Write it in UTF-8, or give something else.",
                code=ErrorCode.INVALID_USAGE,
            ) from None


def _refuse_usage(error: typer.TyperException) -> None:
    """Tell what is wrong with the arguments. Where there were none, the help has been printed instead."""
    message = error.format_message().strip().rstrip(".")
    if message:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "cyphera"
        print_error(with_code(f"Error: {message}. See: {command} --help", ErrorCode.INVALID_USAGE))
    sys.exit(1)


def _fail(message: str, code: ErrorCode) -> None:
    if wants_traceback():
        print_error(traceback.format_exc())
    print_error(with_code(f"Error: {' '.join(message.split())}", code))
    sys.exit(1)
