"""Child processes of `cyphera up` and `cyphera demo`: started together, started again, stopped together."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil

from cyphera_pipelines.cli.running import orphans
from cyphera_pipelines.cli.running.relay import Relay
from cyphera_pipelines.cli.running.restarts import WITHIN, Restarts
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError

STOP_WITHIN = 20.0
LOOK_EVERY = 0.2
REMEMBER_EVERY = 1.0
TELL_EVERY = 4.0


@dataclass(frozen=True)
class Command:
    """A program to run beside us. `name` is what people call it."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]


@dataclass
class _Child:
    command: Command
    process: subprocess.Popen[bytes]
    restarts: Restarts = field(default_factory=Restarts)
    due: float | None = None
    """When it is to be started again; None while it runs."""


class Children:
    """A context that stops whatever was started in it, in reverse order, however it is left.

    So is what its children started themselves, even if a child dies and leaves it to nobody: descendants are looked for
    about once a second, since those of a dead process can no longer be found. With a `home`, all of them are noted
    there, so that they are found even if this process is killed. With a `relay`, what they write goes through that.
    """

    def __init__(self, home: Path | None = None, relay: Relay | None = None) -> None:
        self._home = home
        self._relay = relay
        self._running: list[_Child] = []
        self._descendants: frozenset[psutil.Process] = frozenset()
        self._noted: frozenset[psutil.Process] = frozenset()
        self._looking = threading.Lock()
        self._leaving = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watch-descendants", daemon=True)

    def __enter__(self) -> "Children":
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._watcher.join()
        self._look_for_descendants()
        for child in reversed(self._running):
            if child.process.poll() is None:
                # As Ctrl-C in a terminal does it: runs are children of the code server's, which would wait for them.
                os.killpg(child.process.pid, signal.SIGINT)
        try:
            self._wait_for_the_end()
        except KeyboardInterrupt:
            self._kill()
        orphans.end(self._descendants)
        if self._home is not None:
            orphans.write_down(self._home, ())

    def start(self, command: Command) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, so that Ctrl-C reaches only us and we stop it in order."""
        process = self._start(command)
        self._running.append(_Child(command, process))
        self._look_for_descendants()
        return process

    def _start(self, command: Command) -> subprocess.Popen[bytes]:
        if self._relay is None:
            return subprocess.Popen(command.arguments, env=dict(command.environment), start_new_session=True)
        reading, writing = os.pipe()
        try:
            process = subprocess.Popen(
                command.arguments,
                env=dict(command.environment),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
            )
        finally:
            os.close(writing)
        self._relay.follow(command.name.removeprefix("The "), reading)
        return process

    def keep_running(self, tell: Callable[[str], None], look: Callable[[], None] = lambda: None) -> None:
        """Start each child again that ends by itself, and `tell` of it. Calls `look` about once a second.

        Returns never; raises CypheraError when a child has ended too often, and whatever `look` raises.
        """
        looked = 0.0
        while True:
            for child in self._running:
                self._keep_running(child, tell)
            if time.monotonic() - looked > REMEMBER_EVERY:
                look()
                looked = time.monotonic()
            time.sleep(LOOK_EVERY)

    def _keep_running(self, child: _Child, tell: Callable[[str], None]) -> None:
        now = time.monotonic()
        if child.due is not None:
            if now >= child.due:
                child.process, child.due = self._start(child.command), None
                self._look_for_descendants()
            return
        if child.process.poll() is None:
            return
        how = f"{child.command.name} ended by itself ({_describe(child.process.returncode)})"
        pause = child.restarts.pause(now)
        if pause is None:
            raise CypheraError(
                f"{how}, for the {child.restarts.count + 1}th time within {WITHIN / 60:.0f} minutes, so everything is "
                "stopped; see its messages above.",
                code=ErrorCode.PROGRAM_FAILED,
            )
        tell(f"{how}. It is started again in {pause:.0f} s.")
        child.due = now + pause

    def _wait_for_the_end(self) -> None:
        deadline = time.monotonic() + STOP_WITHIN
        told = time.monotonic()
        while left := [child for child in self._running if child.process.poll() is None]:
            if time.monotonic() > deadline:
                self._kill()
            elif self._relay is not None and time.monotonic() - told > TELL_EVERY:
                names = " and ".join(child.command.name.removeprefix("The ") for child in left)
                self._relay.tell(f"Waiting for the {names} to end.")
                told = time.monotonic()
            time.sleep(LOOK_EVERY)

    def _kill(self) -> None:
        """What does not end in time, or is not waited for: Ctrl-C was pressed again."""
        for child in self._running:
            child.process.kill()
            child.process.wait()

    def descendants(self) -> frozenset[psutil.Process]:
        """What the children have started themselves and is still alive, as of the last look."""
        return self._descendants

    def _watch(self) -> None:
        while not self._leaving.wait(REMEMBER_EVERY):
            self._look_for_descendants()

    def _look_for_descendants(self) -> None:
        with self._looking:
            children = [child.process.pid for child in self._running]
            found = {each for pid in children for each in _children(pid)}
            left = {each for each in self._descendants - found if each.is_running()}
            theirs = {each for orphan in left for each in _children(orphan.pid)}
            self._descendants = frozenset(found | left | theirs)
            if self._home is not None:
                # A full disk is no reason to lose sight of them.
                with contextlib.suppress(OSError):
                    self._note(self._home, children)

    def _note(self, home: Path, children: list[int]) -> None:
        ours = set(self._descendants)
        for pid in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                ours.add(psutil.Process(pid))
        if ours != self._noted:
            orphans.write_down(home, ours)
            self._noted = frozenset(ours)


def _describe(code: int) -> str:
    """As in "exit code 3" and "killed by SIGKILL"."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _children(pid: int) -> list[psutil.Process]:
    """What the process has started itself, and what that has, while it can still be asked."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
