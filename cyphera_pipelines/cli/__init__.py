"""The `cyphera` command."""

import sys
import traceback

import click

from cyphera_pipelines.cli.app import app
from cyphera_pipelines.cli.output import print_error
from cyphera_pipelines.cli.services import wants_traceback
from cyphera_pipelines.model.errors import CypheraError


def main() -> None:
    """Run the command line. Errors are one sentence and exit code 1; a traceback only with --debug."""
    try:
        app(standalone_mode=False)
    except click.exceptions.Exit as request:
        sys.exit(request.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        print_error("Interrupted.")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output (`head`, a closed pager) has seen enough.
        sys.stderr.close()
        sys.exit(0)
    except CypheraError as error:
        _fail(str(error))
    except Exception as error:
        _fail(f"An error of ours: {type(error).__name__}: {error}. Run again with `cyphera --debug ...` for details.")


def _fail(message: str) -> None:
    if wants_traceback():
        print_error(traceback.format_exc())
    print_error(f"Error: {message}")
    sys.exit(1)
