"""The `cyphera` command."""

import os
import signal
import sys
import traceback
from types import FrameType

import typer
from sqlalchemy.exc import OperationalError

from cyphera_pipelines.cli.app import app
from cyphera_pipelines.cli.output import print_error, with_code
from cyphera_pipelines.cli.services import wants_traceback
from cyphera_pipelines.model.actor import acting_as, command_line_actor
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.store.database_errors import error_code_of, reason_of

INTERRUPTED = 130


def main() -> None:
    """Run the command line. Errors are one sentence and exit code 1; a traceback only with --debug."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        # The terminal was closed; `nohup` ignores that.
        signal.signal(signal.SIGHUP, _interrupt)
    # A shell starts background commands with Ctrl-C ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # Not `app()`: it reports errors in a way of its own, and hides interruptions and exit codes from its caller.
        command = typer.main.get_command(app)
        with acting_as(command_line_actor()), command.make_context("cyphera", sys.argv[1:]) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as request:
        sys.exit(request.exit_code)
    except typer.TyperException as error:
        _refuse_usage(error)
    except (typer.Abort, KeyboardInterrupt):
        print_error("Interrupted.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output (`head`, a closed pager) has seen enough; the interpreter's last flush must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except CypheraError as error:
        _fail(str(error), error.code)
    except OperationalError as error:
        _fail(f"The database failed: {reason_of(error)}. See that it runs, then try again.", error_code_of(error))
    except Exception as error:
        what = f"{type(error).__name__}: {str(error).rstrip('.')}"
        _fail(f"An error of ours: {what}. Run again with `cyphera --debug ...` for details.", ErrorCode.UNEXPECTED)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """A service manager's request to stop is a Ctrl-C: sessions end, and the embedded server stops."""
    raise KeyboardInterrupt


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
