"""`cyphera code-server`, `ui` and `daemon`: Dagster's part of an installation as services of their own."""

import os
import sys
from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.running.dagster_programs import (
    DEFAULT_CODE_SERVER,
    CodeServerAddress,
    DagsterPrograms,
    become,
)
from cyphera_pipelines.cli.running.ports import expect_to_listen

CodeServerOption = Annotated[
    str, typer.Option("--code-server", metavar="HOST:PORT", help="Where `cyphera code-server` listens.")
]


def code_server(
    host: Annotated[
        str, typer.Option(help="The address to listen on. Whoever reaches it can start runs.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 4000,
) -> None:
    """Serve our code to the UI and the daemon, and carry out the runs. Told to end, it waits for those at work."""
    expect_to_listen("The code server", host, port)
    # Here, so that a missing setting or an old schema is one line.
    services.database().close()
    services.keyring()
    services.prepare_dagster_home()
    typer.echo(f"The code server listens on {host}, port {port}.")
    become(_programs(CodeServerAddress(host, port)).code_server())


def ui(
    host: Annotated[str, typer.Option(help="The address to listen on. The UI asks for no password.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 3000,
    path_prefix: Annotated[str, typer.Option(help="The path at which a proxy serves it, as in /dagster.")] = "",
    code_server: CodeServerOption = DEFAULT_CODE_SERVER,
) -> None:
    """Serve Dagster's UI. It needs Dagster's database only: CYPHERA_DAGSTER_DATABASE_URL, and no key."""
    address = CodeServerAddress.parse(code_server)
    expect_to_listen("The UI", host, port)
    _expect_dagster_database()
    typer.echo(f"The Dagster UI serves http://{host}:{port}{path_prefix}")
    become(_programs(address).ui(host, port, path_prefix))


def daemon(code_server: CodeServerOption = DEFAULT_CODE_SERVER) -> None:
    """Run Dagster's daemon, once per installation. It needs Dagster's database only, as the UI does."""
    address = CodeServerAddress.parse(code_server)
    _expect_dagster_database()
    typer.echo("The daemon starts queued runs and looks at the sensors.")
    become(_programs(address).daemon())


def _programs(address: CodeServerAddress) -> DagsterPrograms:
    log_format = "colored" if sys.stderr.isatty() else "json"
    return DagsterPrograms(address, os.environ, services.settings(), log_format)


def _expect_dagster_database() -> None:
    """Raise DatabaseUnavailableError with one plain line if Dagster's database is not there."""
    # Takes a while to import: other commands should not wait for it.
    from cyphera_pipelines.orchestration.dagster_database import prepare_dagster_database

    prepare_dagster_database(services.settings())
    services.prepare_dagster_home()
