"""`cyphera analyst`: people who read a workspace's tables with SQL."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_table
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.store.analysts import add_analyst, list_analysts, remove_analyst
from cyphera_pipelines.store.workspaces import find_workspace

app = typer.Typer(help="Analysts: logins to Postgres that read one workspace's tables.", no_args_is_help=True)


@app.command("add")
def add(
    slug: SlugArgument,
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and _, as in 'jane'.")],
    as_json: bool = JSON_OPTION,
) -> None:
    """Make a login that reads the workspace's synced tables, and show its password, this once: it is not kept."""
    made, password = add_analyst(services.database(), find_workspace(services.database(), slug), name)
    # Not through `print_error` and its like: they would cut the password out.
    if as_json:
        print_json({"role_name": made.role_name, "password": password})
        return
    typer.echo(f"User: {made.role_name}")
    typer.echo(f"Password: {password}")
    typer.echo(
        "It sees this workspace's rows of the tables in schema payments, and nothing else.\n"
        f"Remove it with: cyphera analyst remove {made.role_name}",
        err=True,
    )


@app.command("list")
def list_all(slug: SlugArgument, as_json: bool = JSON_OPTION) -> None:
    """Show a workspace's analysts."""
    found = list_analysts(services.database(), find_workspace(services.database(), slug))
    if as_json:
        print_json(found)
        return
    rows = [(each.role_name, ago(each.created_at)) for each in found]
    print_table(("USER", "CREATED"), rows, empty=f"No analysts yet. Add one: cyphera analyst add {slug} NAME")


@app.command("remove")
def remove(role_name: Annotated[str, typer.Argument(help="The user, from `cyphera analyst list`.")]) -> None:
    """Drop an analyst's login."""
    remove_analyst(services.database(), role_name)
    typer.echo(f"Removed {role_name}.")
