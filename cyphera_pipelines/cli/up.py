"""`cyphera up`: everything that a working installation needs, in one terminal."""

import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from cyphera_pipelines import local
from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.api import DEFAULT_PORT as API_PORT
from cyphera_pipelines.cli.database import warn_of_shortage
from cyphera_pipelines.cli.running import orphans
from cyphera_pipelines.cli.running.dagster_programs import CodeServerAddress, DagsterPrograms
from cyphera_pipelines.cli.running.home_in_use import HomeUse, alone_in
from cyphera_pipelines.cli.running.ports import expect_different, expect_free, wait_until_listening
from cyphera_pipelines.cli.running.processes import Children, Command
from cyphera_pipelines.cli.running.relay import Relay
from cyphera_pipelines.cli.sandbox_port import DEFAULT_PORT as SANDBOX_PORT
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.settings import without_secrets
from cyphera_pipelines.store.presence import Presence

READY_WITHIN = 120.0
GHOST_PATIENCE = 3.0
"""Seconds for which a `cyphera up` that has just ended may still be seen at the database."""


def up(
    with_sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Also serve the sandbox that the demo's sources point to.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the Dagster UI listens on 127.0.0.1.")] = 3000,
    api_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where the HTTP API listens on 127.0.0.1.")
    ] = API_PORT,
    sandbox_port: Annotated[int, typer.Option(min=1, max=65535, help="Where the sandbox listens.")] = SANDBOX_PORT,
) -> None:
    """Start the database, Dagster's UI and daemon and the HTTP API (and the sandbox), until Ctrl-C stops them all."""
    ports = {"Dagster UI": port, "HTTP API": api_port} | ({"sandbox": sandbox_port} if with_sandbox else {})
    expect_different(
        {"--port": port, "--api-port": api_port} | ({"--sandbox-port": sandbox_port} if with_sandbox else {})
    )
    home, relay = services.settings().home, Relay(with_details=services.wants_traceback())
    try:
        with alone_in(home, HomeUse("cyphera up", ports=ports)):
            _end_orphans(home, relay)
            expect_free(port, "the Dagster UI", "--port")
            expect_free(api_port, "the HTTP API", "--api-port")
            if with_sandbox:
                expect_free(sandbox_port, "the sandbox", "--sandbox-port")
            warn_of_shortage()
            presence = Presence(services.database(), list(ports.values()))
            presence.look(patience=GHOST_PATIENCE)
            services.database().close()
            services.keyring()
            services.prepare_dagster_home()
            _run(port, api_port, sandbox_port if with_sandbox else None, presence, relay)
    except KeyboardInterrupt:
        typer.echo("Stopped.")
    finally:
        relay.end()


def _end_orphans(home: Path, relay: Relay) -> None:
    """End what a `cyphera up` of this home left behind when it was killed: it is surely ours, and serves nobody."""
    if found := orphans.find_orphans(home):
        orphans.end(found, at_once=True)
        ended = counted(len(found), "process")
        relay.tell(f"Ended {ended} that an earlier `cyphera up` left behind when it was killed.")


def _run(port: int, api_port: int, sandbox_port: int | None, presence: Presence, relay: Relay) -> None:
    settings = services.settings()
    addresses = {
        "CYPHERA_DAGSTER_URL": f"http://127.0.0.1:{port}",
        "CYPHERA_API_URL": os.environ.get("CYPHERA_API_URL", f"http://127.0.0.1:{api_port}"),
    }
    environment = {**os.environ, **addresses}
    with ExitStack() as stack:
        # The folder is this user's alone, and so is the code server's socket in it.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="cyphera-up-"))
        children = stack.enter_context(Children(settings.home, relay))
        stack.callback(relay.expect_the_end)
        wait_for = partial(wait_until_listening, within=READY_WITHIN, tell=relay.tell)
        socket = Path(folder) / "code-server"
        dagster = DagsterPrograms(CodeServerAddress(socket=socket), environment, settings, "json")
        if sandbox_port is not None:
            sandbox = children.start(sandbox_command(sandbox_port, environment))
            wait_for(sandbox_port, process=sandbox, name="The sandbox")
        typer.echo("Starting the HTTP API, and Dagster: the code server, the UI and the daemon.")
        code_server = children.start(dagster.code_server())
        api = children.start(_api_command(api_port, environment))
        wait_for(socket, process=code_server, name="The code server")
        ui = children.start(dagster.ui("127.0.0.1", port))
        children.start(dagster.daemon())
        wait_for(port, process=ui, name="The Dagster UI")
        wait_for(api_port, process=api, name="The HTTP API")
        typer.echo(f"\nDagster UI   http://127.0.0.1:{port}")
        typer.echo(f"Operations   http://127.0.0.1:{api_port}/ops   (a key for it: cyphera key create --operator)")
        typer.echo(f"HTTP API     http://127.0.0.1:{api_port}/docs")
        if sandbox_port is not None:
            typer.echo(f"Sandbox      http://127.0.0.1:{sandbox_port}")
        typer.echo('SQL          psql "$(cyphera db url)"\nCtrl-C stops everything.\n')
        look_at_database = _looking_at_database(presence, relay.tell)

        def look() -> None:
            relay.look()
            look_at_database()

        children.keep_running(relay.tell, look)


def _looking_at_database(presence: Presence, tell: Callable[[str], None]) -> Callable[[], None]:
    """What is looked at while everything runs: that the database answers, and that nobody else is at work on it."""
    settings, was_lost = services.settings(), False

    def look() -> None:
        nonlocal was_lost
        try:
            presence.look()
        except SQLAlchemyError as error:
            if settings.is_embedded and not local.is_running(settings.home):
                local.start(settings.home)
                tell("The embedded Postgres had ended; it was started again.")
            elif not was_lost:
                reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
                tell(f"The database does not answer: {reason}. Everything goes on as soon as it does.")
                was_lost = True
        else:
            if was_lost:
                tell("The database answers again.")
                was_lost = False

    return look


def sandbox_command(port: int, environment: dict[str, str]) -> Command:
    """The sandbox as a process of its own, which needs none of our secrets."""
    return Command("The sandbox", [_program("cyphera"), "sandbox", "--port", str(port)], without_secrets(environment))


def _api_command(port: int, environment: dict[str, str]) -> Command:
    """The HTTP API as a process of its own."""
    program = [_program("cyphera"), "api", "--host", "127.0.0.1", "--port", str(port)]
    return Command("The HTTP API", program, environment)


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)
