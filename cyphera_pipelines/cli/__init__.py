"""The `cyphera` command."""

import signal
import sys
from types import FrameType

INTERRUPTED = 130


def main() -> None:
    """Run the command line. Whatever interrupts it is told in one line."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        # The terminal was closed; `nohup` ignores that.
        signal.signal(signal.SIGHUP, _interrupt)
    # A shell starts background commands with Ctrl-C ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # Only here: these imports take long enough to be interrupted.
        from cyphera_pipelines.cli.command_line import run

        run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """A service manager's request to stop is a Ctrl-C: sessions end, and the embedded server stops."""
    raise KeyboardInterrupt
