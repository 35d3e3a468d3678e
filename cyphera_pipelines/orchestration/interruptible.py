"""Work that can be interrupted at any moment and yet ends in order."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


def run_interruptibly(
    work: Callable[[], T],
    *,
    on_interrupt: Callable[[], None],
    on_wait: Callable[[], None] | None = None,
    wait_every: float = 0.2,
) -> T:
    """Do the work in a thread, and return its result or raise its error.

    An interruption of the calling thread (Ctrl-C, Dagster's termination) calls `on_interrupt`, which is to make the
    work end soon, waits for that, and is raised again. Work that is interrupted directly may never hear of it: Python
    drops what a signal handler raises while a weak reference's callback or a destructor happens to run.
    `on_wait` is called every `wait_every` seconds.
    """
    working = _Work(work)
    try:
        if on_wait is None:
            working.wait()
        else:
            while not working.wait(wait_every):
                on_wait()
    except BaseException:
        try:
            on_interrupt()
        finally:
            working.wait()
        raise
    return working.result()


class _Work(Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        # Not joined: a join that Ctrl-C interrupts takes the thread for ended (https://bugs.python.org/issue45274).
        self._ended = threading.Event()
        # A daemon: a second interruption need not wait for it.
        threading.Thread(target=self._run, name="interruptible", daemon=True).start()

    def wait(self, seconds: float | None = None) -> bool:
        return self._ended.wait(seconds)

    def result(self) -> T:
        if self._errors:
            raise self._errors[0]
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # raised again in the caller's thread
            self._errors.append(error)
        finally:
            self._ended.set()
