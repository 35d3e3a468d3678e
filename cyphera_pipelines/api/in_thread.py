"""The API in a thread of another program, for as long as that needs it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from cyphera_pipelines.api.app import create_app
from cyphera_pipelines.api.connections import BoundedProtocol
from cyphera_pipelines.api.dagster_runs import DagsterRuns
from cyphera_pipelines.connection_budget import API_PROCESS
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.connection_waits import REQUEST_PATIENCE
from cyphera_pipelines.store.database import open_database

_STARTS_WITHIN = 30.0
_ENDS_WITHIN = 15.0
_LOOK_EVERY = 0.02


@contextmanager
def serving(settings: Settings, keyring: Keyring) -> Iterator[str]:
    """Serve the API at a free port of 127.0.0.1 until the context is left; yield its address.

    It has connections to the database of its own, and closes them. Raises CypheraError if it does not start.
    """
    database = open_database(settings, application_name="cyphera api", pool_size=API_PROCESS, patience=REQUEST_PATIENCE)
    app = create_app(database, keyring, settings, DagsterRuns(settings.dagster_url))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, server_header=False, http=BoundedProtocol)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="api", daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_ENDS_WITHIN)
            database.close()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    waited = 0.0
    while not server.started:
        if waited >= _STARTS_WITHIN or not thread.is_alive():
            raise CypheraError("The HTTP API did not start in this process.", code=ErrorCode.PROGRAM_FAILED)
        thread.join(_LOOK_EVERY)
        waited += _LOOK_EVERY
