"""`cyphera api` and `cyphera openapi`: the HTTP API, and what it says of itself."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import print_json
from cyphera_pipelines.cli.running.ports import expect_to_listen

DEFAULT_PORT = 8000


def api(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = DEFAULT_PORT,
    workers: Annotated[
        int, typer.Option(min=1, max=64, envvar="CYPHERA_API_WORKERS", help="Processes that share the work.")
    ] = 1,
) -> None:
    """Serve the HTTP API until Ctrl-C. Its log goes to stderr, one JSON object per line."""
    expect_to_listen("The API", host, port)
    # Before any worker does, so that a missing setting or an old schema is one line here.
    services.database().close()
    services.keyring()
    typer.echo(f"The API serves http://{host}:{port}. What it can do is described at http://{host}:{port}/docs")
    typer.echo(f"Operators look at http://{host}:{port}/ops. A key for that is made by: cyphera key create --operator")
    # Takes a while to import: other commands should not wait for it.
    from cyphera_pipelines.api.server import serve

    serve(host, port, workers)
    typer.echo("Stopped.")


def openapi() -> None:
    """Print the API's OpenAPI document, as in `cyphera openapi > openapi.json`."""
    from cyphera_pipelines.api.app import describe_api

    print_json(describe_api().openapi())
