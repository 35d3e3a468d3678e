"""Child processes of `cyphera up` and `cyphera demo`: started together, stopped together."""

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

import psutil

from cyphera_pipelines.model.errors import CypheraError

STOP_WITHIN = 20.0
LINGER_WITHIN = 5.0
LOOK_EVERY = 0.2


@dataclass(frozen=True)
class Command:
    """A program to run beside us. `name` is what people call it."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]


class Children:
    """A context that stops whatever was started in it, in reverse order, however it is left."""

    def __init__(self) -> None:
        self._running: list[tuple[Command, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> "Children":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        descendants = [each for _command, process in self._running for each in _descendants(process)]
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
        _end(descendants)

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
                    raise CypheraError(f"{command.name} ended with exit code {code}; see its messages above.")
            time.sleep(LOOK_EVERY)


def _descendants(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """What the child has started itself, while it can still be asked."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
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
