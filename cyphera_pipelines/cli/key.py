"""`cyphera key`: what opens a workspace to programs that use the HTTP API."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_table, short_id, short_ids
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.store.api_keys import create_api_key, list_api_keys, revoke_api_key
from cyphera_pipelines.store.id_prefixes import find_api_key_id
from cyphera_pipelines.store.workspaces import find_workspace

app = typer.Typer(help="Keys of the HTTP API: each opens one workspace.", no_args_is_help=True)


@app.command("create")
def create(
    slug: SlugArgument,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "api",
    for_shell: Annotated[
        bool, typer.Option("--export", help="Print a line that a shell can evaluate: API_KEY and WORKSPACE_ID.")
    ] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """Make a key for a workspace and show it, this once: it is not kept."""
    workspace = find_workspace(services.database(), slug)
    if not name.strip() or not name.isprintable():
        raise InvalidInputError("The key's name must be printable text, as in --name backend.")
    made, key = create_api_key(services.database(), workspace, name.strip())
    # Not through `print_error` and its like: they would cut the key out.
    if as_json:
        print_json({"id": made.id, "name": made.name, "workspace_id": made.workspace_id, "api_key": key.as_text()})
        return
    if for_shell:
        typer.echo(f"export API_KEY={key.as_text()} WORKSPACE_ID={workspace.id}")
        return
    typer.echo(f"X-API-Key: {key.as_text()}")
    typer.echo(f"X-Workspace-ID: {workspace.id}")
    typer.echo(
        f"These are the two headers of every request. Keep the key: it cannot be shown again.\n"
        f"Revoke it with: cyphera key revoke {short_id(made.id)}",
        err=True,
    )


@app.command("list")
def list_all(slug: SlugArgument, as_json: bool = JSON_OPTION) -> None:
    """Show a workspace's keys: their names and use, never the keys themselves."""
    keys = list_api_keys(services.database(), find_workspace(services.database(), slug))
    if as_json:
        print_json(keys)
        return
    shown = short_ids(each.id for each in keys)
    rows = [
        (shown[each.id], each.name, ago(each.created_at), ago(each.last_used_at), "no" if each.revoked_at else "yes")
        for each in keys
    ]
    empty = f"No keys yet. Make one: cyphera key create {slug}"
    print_table(("ID", "NAME", "CREATED", "LAST USED", "WORKS"), rows, empty=empty)


@app.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id, or its first characters.")]) -> None:
    """Make a key worthless, from the next request on."""
    revoked = revoke_api_key(services.database(), find_api_key_id(services.database(), key_id))
    typer.echo(f"Revoked key {revoked.name} ({short_id(revoked.id)}).")
