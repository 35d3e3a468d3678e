"""`cyphera up`: everything that a working installation needs, in one terminal."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.api import DEFAULT_PORT as API_PORT
from cyphera_pipelines.cli.database import warn_of_shortage
from cyphera_pipelines.cli.home_in_use import HomeUse, alone_in
from cyphera_pipelines.cli.processes import Children, Command, port_is_free, wait_for_port
from cyphera_pipelines.cli.sandbox import DEFAULT_PORT as SANDBOX_PORT
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.settings import project_root

READY_WITHIN = 120.0


def up(
    with_sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Also serve the Stripe-shaped sandbox that the demo's sources point to.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the Dagster UI listens on 127.0.0.1.")] = 3000,
    api_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where the HTTP API listens on 127.0.0.1.")
    ] = API_PORT,
    sandbox_port: Annotated[int, typer.Option(min=1, max=65535, help="Where the sandbox listens.")] = SANDBOX_PORT,
) -> None:
    """Start the database, Dagster's UI and daemon and the HTTP API (and the sandbox), until Ctrl-C stops them all."""
    ports = {"Dagster UI": port, "HTTP API": api_port} | ({"sandbox": sandbox_port} if with_sandbox else {})
    try:
        with alone_in(services.settings().home, HomeUse("cyphera up", ports=ports)):
            _run(with_sandbox, port, api_port, sandbox_port)
    except KeyboardInterrupt:
        typer.echo("Stopped.")


def _run(with_sandbox: bool, port: int, api_port: int, sandbox_port: int) -> None:
    _expect_free(port, "the Dagster UI", "--port")
    _expect_free(api_port, "the HTTP API", "--api-port")
    if with_sandbox:
        _expect_free(sandbox_port, "the sandbox", "--sandbox-port")
    warn_of_shortage()
    services.database().close()
    services.keyring()
    services.use_project_as_dagster_home()
    addresses = {
        "CYPHERA_DAGSTER_URL": f"http://127.0.0.1:{port}",
        "CYPHERA_API_URL": os.environ.get("CYPHERA_API_URL", f"http://127.0.0.1:{api_port}"),
    }
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", **addresses}
    with Children() as children:
        if with_sandbox:
            sandbox = children.start(sandbox_command(sandbox_port, environment))
            wait_for_port(sandbox_port, within=READY_WITHIN, process=sandbox, name="The sandbox")
        dagster = children.start(_dagster_command(port, environment))
        api = children.start(_api_command(api_port, environment))
        typer.echo("Starting the HTTP API, and Dagster: its UI, its daemon and the code that they load.")
        wait_for_port(port, within=READY_WITHIN, process=dagster, name="Dagster")
        wait_for_port(api_port, within=READY_WITHIN, process=api, name="The HTTP API")
        typer.echo(f"\nDagster UI   http://127.0.0.1:{port}")
        typer.echo(f"HTTP API     http://127.0.0.1:{api_port}/docs")
        if with_sandbox:
            typer.echo(f"Sandbox      http://127.0.0.1:{sandbox_port}")
        typer.echo('SQL          psql "$(cyphera db url)"\nCtrl-C stops everything.\n')
        children.wait_for_any_to_end()


def _expect_free(port: int, what: str, option: str) -> None:
    if not port_is_free(port):
        raise CypheraError(f"Port {port} for {what} is in use; choose another one with {option}.")


def sandbox_command(port: int, environment: dict[str, str]) -> Command:
    """The sandbox as a process of its own."""
    return Command("The sandbox", [_program("cyphera"), "sandbox", "--port", str(port)], environment)


def _dagster_command(port: int, environment: dict[str, str]) -> Command:
    """`dagster dev` runs the UI and the daemon on one loaded copy of our code, and stops them together."""
    workspace = str(project_root() / "workspace.yaml")
    arguments = [_program("dagster"), "dev", "-w", workspace, "-h", "127.0.0.1", "-p", str(port)]
    return Command("Dagster", [*arguments, "--log-level", "warning"], environment)


def _api_command(port: int, environment: dict[str, str]) -> Command:
    """The HTTP API as a process of its own."""
    return Command(
        "The HTTP API", [_program("cyphera"), "api", "--host", "127.0.0.1", "--port", str(port)], environment
    )


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)
