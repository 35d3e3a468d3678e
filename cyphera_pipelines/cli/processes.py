"""Child processes of `cyphera up` and `cyphera demo`: started together, stopped together."""

import contextlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

import psutil

from cyphera_pipelines.model.errors import CypheraError

STOP_WITHIN = 20.0
LINGER_WITHIN = 5.0
LOOK_EVERY = 0.2
REMEMBER_EVERY = 1.0


@dataclass(frozen=True)
class Command:
    """A program to run beside us. `name` is what people call it."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]


class Children:
    """A context that stops whatever was started in it, in reverse order, however it is left.

    So is what its children started themselves, even if a child dies and leaves it to nobody: descendants are looked for
    about once a second, since those of a dead process can no longer be found.
    """

    def __init__(self) -> None:
        self._running: list[tuple[Command, subprocess.Popen[bytes]]] = []
        self._descendants: frozenset[psutil.Process] = frozenset()
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
        for _command, process in reversed(self._running):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + STOP_WITHIN
        for _command, process in reversed(self._running):
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        _end(list(self._descendants))

    def start(self, command: Command) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, so that Ctrl-C reaches only us and we stop it in order."""
        process = subprocess.Popen(command.arguments, env=dict(command.environment), start_new_session=True)
        self._running.append((command, process))
        return process

    def wait_for_any_to_end(self) -> None:
        """Return never, or raise CypheraError when a child ends by itself."""
        while True:
            for command, process in self._running:
                if (code := process.poll()) is not None:
                    raise CypheraError(
                        f"{command.name} ended by itself (exit code {code}), so everything is stopped; "
                        "see its messages above."
                    )
            time.sleep(LOOK_EVERY)

    def descendants(self) -> frozenset[psutil.Process]:
        """What the children have started themselves and is still alive, as of the last look."""
        return self._descendants

    def _watch(self) -> None:
        while not self._leaving.wait(REMEMBER_EVERY):
            self._look_for_descendants()

    def _look_for_descendants(self) -> None:
        found = {each for _command, process in tuple(self._running) for each in _children(process.pid)}
        orphans = {each for each in self._descendants - found if each.is_running()}
        theirs = {each for orphan in orphans for each in _children(orphan.pid)}
        self._descendants = frozenset(found | orphans | theirs)


def _children(pid: int) -> list[psutil.Process]:
    """What the process has started itself, and what that has, while it can still be asked."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _end(processes: list[psutil.Process]) -> None:
    """End what a child did not take with it: `dagster dev` leaves its webserver and daemon behind if it is killed."""
    left = psutil.wait_procs(processes, timeout=LINGER_WITHIN)[1]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(left, timeout=LINGER_WITHIN)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def wait_for_port(port: int, *, within: float, process: subprocess.Popen[bytes], name: str) -> None:
    """Return when something listens on the loopback port; raise CypheraError if the process ends or time runs out."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CypheraError(f"{name} ended with exit code {process.returncode} before it was ready.")
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(LOOK_EVERY)
    raise CypheraError(f"{name} was not ready on port {port} after {within:.0f} s.")


def port_is_free(port: int) -> bool:
    """Whether we could listen on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
