"""`cyphera workspace`: tenants."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_table
from cyphera_pipelines.store.workspaces import create_workspace, list_workspaces

app = typer.Typer(help="Workspaces: the tenants whose data is kept apart.", no_args_is_help=True)

SlugArgument = Annotated[str, typer.Argument(help="The workspace's slug: lower-case letters, digits, hyphens.")]


@app.command("create")
def create(
    slug: SlugArgument,
    name: Annotated[str | None, typer.Option(help="A name for people; the slug by default.")] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Make a workspace."""
    workspace = create_workspace(services.database(), slug, name)
    if as_json:
        print_json(workspace)
    else:
        typer.echo(f"Created workspace {workspace.slug} ({workspace.id}).")
        typer.echo(f"Next: cyphera source add {workspace.slug} stripe --api-key-stdin")


@app.command("list")
def list_all(as_json: bool = JSON_OPTION) -> None:
    """Show all workspaces."""
    workspaces = list_workspaces(services.database())
    if as_json:
        print_json(workspaces)
        return
    rows = [(each.slug, each.name, each.id, ago(each.created_at)) for each in workspaces]
    print_table(
        ("SLUG", "NAME", "ID", "CREATED"), rows, empty="No workspaces yet. Make one: cyphera workspace create acme"
    )
