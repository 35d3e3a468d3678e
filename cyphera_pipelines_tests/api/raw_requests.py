"""Requests whose body never comes, or comes slowly: no HTTP client makes them."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from cyphera_pipelines_tests.api.conftest import DEADLINE_SECONDS, PREFIX, Client


def connect(client: Client) -> socket.socket:
    """A connection to the client's server."""
    address = (client.base_url.host, client.base_url.port or 0)
    return socket.create_connection(address, timeout=DEADLINE_SECONDS)


def head(client: Client, length: int) -> bytes:
    """The head of a request for a new configuration, with a body of so many bytes, by the client."""
    lines = [
        f"POST {PREFIX}/config HTTP/1.1",
        f"Host: {client.base_url.host}",
        f"X-API-Key: {client.key}",
        f"X-Workspace-ID: {client.workspace.id}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def read_to_end(connection: socket.socket) -> str:
    """All that the server sends until it closes the connection."""
    said = b""
    with suppress(ConnectionResetError):  # which is how a connection ends on which something was left unread
        while piece := connection.recv(65_536):
            said += piece
    return said.decode()


def read_until(connection: socket.socket, wanted: str) -> str:
    """All that the server sends up to the wanted words and a little more: a response may come in several pieces."""
    said = b""
    while wanted.encode() not in said:
        piece = connection.recv(65_536)
        assert piece, said
        said += piece
    return said.decode()


@contextmanager
def waiting_requests(client: Client, count: int) -> Iterator[None]:
    """So many requests at once, each of which lets the server wait for its body."""
    with ExitStack() as connections:
        for _ in range(count):
            connections.enter_context(connect(client)).sendall(head(client, 100))
        yield
