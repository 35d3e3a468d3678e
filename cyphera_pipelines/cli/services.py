"""What commands need: settings, database and keys, opened when first asked for."""

import atexit
import logging
import os
import sys
import warnings
from functools import cache

from rich.console import Console
from rich.logging import RichHandler

from cyphera_pipelines.cli.working import working
from cyphera_pipelines.connection_budget import SYNC
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.security.secrets import RedactingFilter
from cyphera_pipelines.settings import Settings, load_settings
from cyphera_pipelines.store.connection_waits import COMMAND_PATIENCE, RUN_PATIENCE
from cyphera_pipelines.store.database import Database, open_database

_debug = False
_databases: list[Database] = []


def set_debug(wanted: bool) -> None:
    """Remember --debug, and send log records to stderr without secrets: all of them, or warnings only."""
    global _debug
    _debug = wanted
    handler = RichHandler(console=Console(stderr=True), show_path=False, show_time=wanted)
    handler.addFilter(RedactingFilter())
    # On the handler too: Dagster sets levels of its own on the loggers that it manages.
    handler.setLevel(logging.DEBUG if wanted else logging.WARNING)
    logging.basicConfig(level=handler.level, handlers=[handler], force=True)
    if not wanted:
        warnings.simplefilter("ignore")


def wants_traceback() -> bool:
    """Whether --debug was given."""
    return _debug


@cache
def settings() -> Settings:
    """The settings from the environment."""
    return load_settings()


def database(*, connections: int = SYNC, for_sync: bool = False) -> Database:
    """The database; starting and migrating the embedded one on first use. How it is opened is for the first to say."""
    if _databases:
        return _databases[0]
    command = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "command")
    with working("Opening the database"):
        opened = open_database(
            settings(),
            application_name=f"cyphera {command}",
            pool_size=connections,
            patience=RUN_PATIENCE if for_sync else COMMAND_PATIENCE,
        )
    _databases.append(opened)
    atexit.register(opened.close)
    return opened


@cache
def keyring() -> Keyring:
    """The encryption keys."""
    return load_keyring(settings())


def prepare_dagster_home() -> None:
    """Dagster reads its instance's configuration from here unless the environment says otherwise."""
    os.environ["DAGSTER_HOME"] = str(settings().prepare_dagster_home())
