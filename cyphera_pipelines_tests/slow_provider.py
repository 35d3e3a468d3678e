"""A provider that keeps whoever asks it waiting, in one of several ways."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_REFUSAL = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    b'Content-Length: 49\r\n\r\n{"error": {"message": "slow", "type": "rate", }}\n'
)


@dataclass
class SlowProvider:
    """Listens until it is closed. `waiting` counts the connections that were ever made."""

    behave: Callable[["SlowProvider", socket.socket], None]
    url: str = ""
    waiting: int = 0
    is_closed: threading.Event = field(default_factory=threading.Event)


def says_nothing(provider: SlowProvider, _connection: socket.socket) -> None:
    """Accepts and never answers."""
    provider.is_closed.wait()


def drips_its_head(provider: SlowProvider, connection: socket.socket) -> None:
    """A byte of the head every now and then, so that no single read ever takes long."""
    _drip(provider, connection, b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 10_000)


def drips_its_body(provider: SlowProvider, connection: socket.socket) -> None:
    """The same of the body."""
    connection.sendall(_HEAD % 10_000)
    _drip(provider, connection, b"{" + b" " * 9_999)


def never_ends(provider: SlowProvider, connection: socket.socket) -> None:
    """As much of a body as the other side takes, for ever, but not fast."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not provider.is_closed.wait(0.05):
        connection.sendall(b"3e8\r\n" + b" " * 1_000 + b"\r\n")


def announces_too_much(provider: SlowProvider, connection: socket.socket) -> None:
    """A body of a terabyte, of which hardly anything comes."""
    connection.sendall(_HEAD % 10**12)
    provider.is_closed.wait()


def refuses_for_ever(provider: SlowProvider, connection: socket.socket) -> None:
    """Status 429 to whatever is asked."""
    while not provider.is_closed.is_set() and connection.recv(65_536):
        connection.sendall(_REFUSAL)


def _drip(provider: SlowProvider, connection: socket.socket, data: bytes) -> None:
    for at in range(len(data)):
        connection.sendall(data[at : at + 1])
        if provider.is_closed.wait(1.0):
            return


@contextmanager
def slow_provider(behave: Callable[[SlowProvider, socket.socket], None]) -> Iterator[SlowProvider]:
    """Serve on a free loopback port until the context is left."""
    provider = SlowProvider(behave)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        provider.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=_accept, args=(provider, listener), daemon=True).start()
        try:
            yield provider
        finally:
            provider.is_closed.set()
            listener.shutdown(socket.SHUT_RDWR)


def _accept(provider: SlowProvider, listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _address = listener.accept()
            provider.waiting += 1
            threading.Thread(target=_serve, args=(provider, connection), daemon=True).start()


def _serve(provider: SlowProvider, connection: socket.socket) -> None:
    with connection, suppress(OSError):
        provider.behave(provider, connection)
