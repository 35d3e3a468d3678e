"""Saying that a command is at work, so that nobody has to wonder whether it is."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

SPEAK_EVERY = 4.0
"""Seconds of silence, where there is no terminal to show something moving."""


@contextmanager
def working(what: str, *, moves: bool = True, tell: Callable[[str], None] | None = None) -> Iterator[None]:
    """Say what is at work while the body runs, as in "Upgrading the schema". All of it goes to stderr, or to `tell`.

    In a terminal it is a spinner that vanishes; elsewhere a line every few seconds, and none if it is quick. So it is
    in a terminal too unless it `moves`: where others write there meanwhile.
    """
    console = Console(stderr=True)
    if console.is_terminal and moves:
        with console.status(f"{what} ..."):
            yield
        return
    ended, began = threading.Event(), time.monotonic()

    def speak() -> None:
        while not ended.wait(SPEAK_EVERY):
            line = f"{what}: {time.monotonic() - began:.0f} s so far."
            if tell is None:
                console.print(line, highlight=False, soft_wrap=True)
            else:
                tell(line)

    speaker = threading.Thread(target=speak, name="still-working", daemon=True)
    speaker.start()
    try:
        yield
    finally:
        ended.set()
        speaker.join()
