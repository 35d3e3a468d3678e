"""The API as a server: one process, or several that share a port."""

import gc
import os
import resource
import tempfile

import uvicorn

from cyphera_pipelines.api.app import create_app
from cyphera_pipelines.api.connections import BoundedProtocol
from cyphera_pipelines.api.dagster_runs import DagsterRuns
from cyphera_pipelines.api.document import DocumentedApi
from cyphera_pipelines.api.logs import configure_logs
from cyphera_pipelines.api.metrics import MULTIPROCESS_FOLDER
from cyphera_pipelines.connection_budget import API_PROCESS
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.connection_waits import REQUEST_PATIENCE
from cyphera_pipelines.store.database import open_database

FINISH_WITHIN = 15
"""Seconds that requests at work have to end in when the server is stopped."""

WORKER_SILENT_FOR = 60
"""Seconds of silence after which a worker is replaced. After uvicorn's own five, workers of a machine that is busy for
a while, and just begin, are replaced again and again and answer nobody."""

MOST_OPEN_FILES = 65_536


def serve(host: str, port: int, workers: int) -> None:
    """Serve until SIGTERM or SIGINT; then no new requests are taken, and those at work have some seconds to end."""
    with tempfile.TemporaryDirectory(prefix="cyphera-metrics") as folder:
        if workers > 1:
            # Read when the metrics are made, which is in the workers.
            os.environ[MULTIPROCESS_FOLDER] = folder
        uvicorn.run(
            "cyphera_pipelines.api.server:make_worker",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            log_config=None,
            access_log=False,
            server_header=False,
            http=BoundedProtocol,
            timeout_graceful_shutdown=FINISH_WITHIN,
            timeout_worker_healthcheck=WORKER_SILENT_FOR,
        )


def make_worker() -> DocumentedApi:
    """The application of one process, made from the environment."""
    configure_logs()
    _allow_many_connections()
    settings = load_settings()
    app = create_app(
        open_database(settings, application_name="cyphera api", pool_size=API_PROCESS, patience=REQUEST_PATIENCE),
        load_keyring(settings),
        settings,
        DagsterRuns(settings.dagster_url),
    )
    # What is there by now stays. Going through it for garbage, now and then, held up whatever requests there were.
    gc.freeze()
    return app


def _allow_many_connections() -> None:
    """As many open files as we may have: many systems begin with 1,024, which a flood of connections would take."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
