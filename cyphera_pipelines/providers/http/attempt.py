"""One attempt at a request, which can be broken off in whatever it waits for: it has a deadline, and a caller.

Sockets have timeouts for each single step, so that an answer which comes a byte at a time lasts for ever; and nothing
else wakes a thread that waits for one. So one thread looks at all attempts of the process, and shuts down the socket of
those that are over.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from enum import Enum

LOOK_EVERY = 0.25
SLOWEST = 20_000.0
"""Bytes per second: an answer that keeps coming at this rate, as it comes over the wire, is not broken off."""


class Cut(Enum):
    """Why an attempt was broken off."""

    CANCELLED = "cancelled"
    TOO_LATE = "too_late"


class BrokenOffError(OSError):
    """The attempt was broken off before there was a connection."""


class Attempt:
    """One attempt: `within` is the seconds from its beginning to the last byte, and more while bytes come quickly."""

    def __init__(self, is_cancelled: Callable[[], bool], within: float) -> None:
        self._is_cancelled = is_cancelled
        self._deadline = time.monotonic() + within
        self._extension = 0.0
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._changed = threading.Event()
        self.cut: Cut | None = None

    def connect(self, open_socket: Callable[[], socket.socket]) -> socket.socket:
        """Open a connection in a thread that nobody has to wait for: the system's resolver cannot be broken off.

        A thread that is left behind ends with the resolver's and the connection's own timeouts, and has no other work.
        """
        opening = _Opening(open_socket, self._changed)
        while not opening.is_over and self.cut is None:
            self._changed.wait()
            self._changed.clear()
        return opening.take(is_wanted=self.cut is None)

    def watch(self, used: socket.socket) -> None:
        """From now on the attempt waits for this socket. Raises BrokenOffError if it is over already."""
        with self._lock:
            self._forget()
            if self.cut is not None:
                raise BrokenOffError("The attempt is over.")
            # A descriptor of its own: TLS takes the socket's away, and a closed one may soon mean another connection.
            self._socket = socket.socket(fileno=os.dup(used.fileno()))

    def release(self) -> None:
        """The connection is no longer this attempt's: somebody else may use it."""
        with self._lock:
            self._forget()

    def received(self, size: int) -> None:
        """So many bytes came over the wire so far."""
        self._extension = size / SLOWEST

    def look(self, now: float) -> None:
        """Break the attempt off if it is over."""
        if self.cut is None and self._is_cancelled():
            self._break_off(Cut.CANCELLED)
        elif self.cut is None and now > self._deadline + self._extension:
            self._break_off(Cut.TOO_LATE)

    def _break_off(self, why: Cut) -> None:
        with self._lock:
            self.cut = why
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
        self._changed.set()

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class _Opening:
    """A connection that is being opened. Whoever no longer wants it leaves it to be closed."""

    def __init__(self, open_socket: Callable[[], socket.socket], changed: threading.Event) -> None:
        self._open_socket = open_socket
        self._changed = changed
        self._lock = threading.Lock()
        self._is_wanted = True
        self._opened: socket.socket | None = None
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="connect", daemon=True).start()

    @property
    def is_over(self) -> bool:
        return self._opened is not None or self._error is not None

    def take(self, *, is_wanted: bool) -> socket.socket:
        with self._lock:
            self._is_wanted = is_wanted
            if self._error is not None:
                raise self._error
            if self._opened is not None and is_wanted:
                return self._opened
            if self._opened is not None:
                self._opened.close()
        raise BrokenOffError("The attempt is over.")

    def _run(self) -> None:
        try:
            opened = self._open_socket()
        except BaseException as error:  # raised in the thread that waits
            self._error = error
        else:
            with self._lock:
                self._opened = opened
                if not self._is_wanted:
                    opened.close()
        self._changed.set()


current: ContextVar[Attempt | None] = ContextVar("attempt", default=None)
"""What the calling thread is attempting."""


@contextlib.contextmanager
def attempting(is_cancelled: Callable[[], bool], within: float) -> Iterator[Attempt]:
    """An attempt that is looked at until the body ends."""
    attempt = Attempt(is_cancelled, within)
    token = current.set(attempt)
    _watcher.begin(attempt)
    try:
        yield attempt
    finally:
        _watcher.end(attempt)
        current.reset(token)
        attempt.release()


class _Watcher:
    """The thread that looks at the attempts. There is none while nothing is attempted for a few seconds."""

    _IDLE_SECONDS = 5.0

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._attempts: set[Attempt] = set()
        self._thread: threading.Thread | None = None

    def begin(self, attempt: Attempt) -> None:
        with self._changed:
            self._attempts.add(attempt)
            # After a fork there is none either: threads stay behind.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watch-requests", daemon=True)
                self._thread.start()
            elif len(self._attempts) == 1:
                self._changed.notify()

    def end(self, attempt: Attempt) -> None:
        with self._changed:
            self._attempts.discard(attempt)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._attempts and not self._changed.wait(self._IDLE_SECONDS) and not self._attempts:
                    self._thread = None
                    return
                attempts = list(self._attempts)
            for attempt in attempts:
                attempt.look(time.monotonic())
            time.sleep(LOOK_EVERY)


_watcher = _Watcher()
