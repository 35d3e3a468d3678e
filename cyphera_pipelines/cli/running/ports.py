"""Ports and sockets of this machine: whether they are free, and who listens."""

import contextlib
import random
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from cyphera_pipelines.cli.working import working
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError

LOOK_EVERY = 0.2
_SYSTEMS_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST_FREE_PORT = 20_000

Address = int | Path
"""A port of 127.0.0.1, or a Unix socket."""


def wait_until_listening(
    address: Address,
    *,
    within: float,
    process: subprocess.Popen[bytes],
    name: str,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Return when something listens there; raise CypheraError if the process ends or time runs out."""
    deadline = time.monotonic() + within
    with working(f"{name} is starting", moves=False, tell=tell):
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise CypheraError(
                    f"{name} ended with exit code {process.returncode} before it was ready.",
                    code=ErrorCode.PROGRAM_FAILED,
                )
            if _listens(address):
                return
            time.sleep(LOOK_EVERY)
    where = f"on port {address}" if isinstance(address, int) else f"at {address}"
    raise CypheraError(f"{name} was not ready {where} after {within:.0f} s.", code=ErrorCode.PROGRAM_FAILED)


def _listens(address: Address) -> bool:
    with socket.socket(socket.AF_INET if isinstance(address, int) else socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", address) if isinstance(address, int) else str(address)) == 0


def expect_free(port: int, what: str, option: str) -> None:
    """Raise CypheraError that names whoever listens on the port."""
    if port_is_free(port):
        return
    raise CypheraError(
        f"Port {port} for {what} is in use{_by_whom(port)}; choose another one with {option}, or end that process.",
        code=ErrorCode.ADDRESS_IN_USE,
    )


def expect_different(ports: Mapping[str, int]) -> None:
    """Raise CypheraError if two of the options ask for the same port."""
    options: dict[int, str] = {}
    for option, port in ports.items():
        if port in options:
            raise CypheraError(
                f"{options[port]} and {option} are both {port}; choose another port for one of them.",
                code=ErrorCode.ADDRESS_IN_USE,
            )
        options[port] = option


def expect_to_listen(what: str, host: str, port: int) -> None:
    """Raise CypheraError with one plain line if this process could not listen there."""
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise CypheraError(
            f"{what} cannot listen on {host}, port {port}: {error.strerror or error}{_by_whom(port)}. "
            "Choose others with --host and --port.",
            code=ErrorCode.ADDRESS_IN_USE,
        ) from None


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
    """A loopback port that nobody listens on now, and that the system gives to nobody who did not ask for it.

    One that it chose itself could be another process's, or the near end of a connection, before we listen there.
    """
    first_of_the_system = int(_SYSTEMS_PORTS.read_text().split()[0]) if _SYSTEMS_PORTS.exists() else 0
    ours = range(_FIRST_FREE_PORT, first_of_the_system)
    for port in random.SystemRandom().sample(ours, len(ours)):
        if port_is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _by_whom(port: int) -> str:
    """As in " by process 4711 (dagster-webserver)", if this user may know."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            is_it = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if is_it and connection.pid:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""
