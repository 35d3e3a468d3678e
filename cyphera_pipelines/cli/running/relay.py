"""The output of child processes, for whoever looks on: a person at a terminal, or a program behind a pipe."""

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Iterable

from cyphera_pipelines.cli.running.messages import Message, read_messages
from cyphera_pipelines.cli.running.repetitions import Repetitions

OURS = "up"
"""The component that this process's own messages are of."""
TOGETHER_WITHIN = 0.2
"""Seconds of silence after which what was said is taken for whole."""
LONGEST_WAIT = 1.0
LONGEST_PIECE = 1 << 16
# What a person need not read: a server's own start and end, and what Dagster's daemon says on its very first start.
_UNINTERESTING = ("uvicorn.error", "sqlalchemy.", "dagster.daemon.EventLogConsumerDaemon")


class Relay:
    """Says on stderr what components say: as lines for people if that is a terminal, as JSON if not.

    What repeats itself is counted. Threads may share it.
    """

    def __init__(self, *, with_details: bool) -> None:
        self._with_details = with_details
        self._for_people = sys.stderr.isatty()
        self._is_ending = False
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._repetitions = Repetitions()

    def follow(self, component: str, pipe: int) -> None:
        """Read the pipe to its end, in a thread of its own, and say what comes out of it."""
        thread = threading.Thread(target=self._follow, args=(component, pipe), name=f"relay {component}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def tell(self, text: str) -> None:
        """Say something of our own, every time and to the end."""
        with self._lock:
            self._write([self._line(Message(OURS, "warning", text))])

    def expect_the_end(self) -> None:
        """Say that everything stops. People need not read how each part takes that."""
        with self._lock:
            self._print(self._repetitions.rest())
        self.tell("Everything stops. Syncs that are at work are interrupted; the next ones continue from there.")
        self._is_ending = self._for_people

    def look(self) -> None:
        """Tell of repetitions whose time is over. To be called now and then."""
        with self._lock:
            self._print(self._repetitions.due(time.monotonic()))

    def end(self) -> None:
        """Wait for what is still to be read, unless somebody keeps a pipe open, and tell of all repetitions."""
        deadline = time.monotonic() + LONGEST_WAIT
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            self._print(self._repetitions.rest())

    def _follow(self, component: str, pipe: int) -> None:
        said, since, is_open = b"", 0.0, True
        with contextlib.closing(os.fdopen(pipe, "rb", buffering=0)) as file:
            while is_open:
                if select.select([file], [], [], TOGETHER_WITHIN if said else None)[0]:
                    since = since if said else time.monotonic()
                    piece = file.read(LONGEST_PIECE) or b""
                    is_open, said = bool(piece), said + piece
                    if is_open and len(said) < LONGEST_PIECE and time.monotonic() - since < LONGEST_WAIT:
                        continue
                    whole, newline, rest = said.rpartition(b"\n")
                    said, rest = (whole, rest) if newline and is_open else (said, b"")
                else:
                    rest = b""
                self._relay(component, said.decode(errors="replace"))
                said = rest

    def _relay(self, component: str, text: str) -> None:
        try:
            messages = list(read_messages(component, text.splitlines()))
        except Exception as error:
            # Whoever writes to a pipe that is not read any more stands still.
            messages = [Message(component, "error", f"What it wrote cannot be understood: {type(error).__name__}")]
        with self._lock:
            for message in messages:
                self._print(self._repetitions.take(message, time.monotonic()))

    def _print(self, messages: Iterable[Message]) -> None:
        if not self._is_ending:
            self._write([self._line(each) for each in messages if not self._for_people or _is_interesting(each)])

    def _write(self, lines: list[str]) -> None:
        if lines:
            # A terminal that was closed is no reason to let the children wait for somebody to read.
            with contextlib.suppress(OSError):
                sys.stderr.write("\n".join(lines) + "\n")
                sys.stderr.flush()

    def _line(self, message: Message) -> str:
        if not self._for_people:
            return message.as_json()
        at = message.time.astimezone().strftime("%H:%M:%S")
        level = "" if message.level in ("debug", "info") or message.component == OURS else f"{message.level}: "
        run_id = str(message.fields.get("run_id", ""))[:8]
        line = f"{at} {f'{message.component} {run_id}':<12} {level}{message.text}"
        if not message.more:
            return line
        return f"{line}\n{message.more}" if self._with_details else f"{line} (`cyphera --debug up` tells more)"


def _is_interesting(message: Message) -> bool:
    if message.level in ("error", "critical"):
        return True
    if message.logger.startswith(_UNINTERESTING):
        return False
    # Nor that somebody looked at something and got it.
    status = message.fields.get("status")
    return message.fields.get("method") != "GET" or (isinstance(status, int) and status >= 500)
