"""`cyphera workspace`: tenants."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.confirmation import ConfirmOption, confirm_slug
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_table, short_id, short_ids
from cyphera_pipelines.cli.purge import FOR_GOOD, PurgeOption, purge_and_watch
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.store.sources import list_sources
from cyphera_pipelines.store.workspaces import (
    create_workspace,
    delete_workspace,
    find_workspace,
    list_workspaces,
    rename_workspace,
)
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_sessions_of_source

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
    shown = short_ids(each.id for each in workspaces)
    rows = [(each.slug, each.name, shown[each.id], ago(each.created_at)) for each in workspaces]
    print_table(
        ("SLUG", "NAME", "ID", "CREATED"), rows, empty="No workspaces yet. Make one: cyphera workspace create acme"
    )


@app.command("rename")
def rename(slug: SlugArgument, name: Annotated[str, typer.Argument(help="The new name for people.")]) -> None:
    """Change a workspace's name for people. Its slug stays: it is part of its sources' partition keys."""
    if not name.strip() or not name.isprintable():
        raise InvalidInputError("The workspace's name must be printable text.")
    database = services.database()
    renamed = rename_workspace(database, find_workspace(database, slug), name.strip())
    typer.echo(f"Workspace {renamed.slug} is called {renamed.name} now.")


@app.command("delete")
def delete(slug: SlugArgument, purged: PurgeOption = False, confirmed: ConfirmOption = None) -> None:
    """Disconnect a workspace for good: its sources are removed, its keys and its analysts open nothing any more.

    Its rows, sessions and events stay, and so does its slug, unless --purge is given: then everything that is kept of
    it is removed, also of one that was deleted before. Syncs that wait or run are cancelled.
    """
    database = services.database()
    workspace = find_workspace(database, slug, or_deleted=purged)
    if purged:
        confirm_slug(slug, f"This removes everything that is kept of workspace {slug}. {FOR_GOOD}", confirmed)
        purge_and_watch(workspace)
        return
    confirm_slug(slug, f"This disconnects workspace {slug} for good. Its rows stay.", confirmed)
    sources = [source for source in list_sources(database) if source.workspace_id == workspace.id]
    with working("Deleting the workspace"):
        delete_workspace(database, workspace)
    typer.echo(f"Deleted workspace {slug}: {len(sources)} sources, its keys and analysts. Its rows stay.")
    cancellation = Cancellation.with_command("The workspace was deleted", "cyphera workspace delete")
    for source in sources:
        for session in cancel_sessions_of_source(database, source, cancellation):
            typer.echo(f"Cancelled session {short_id(session.id)} of {source.key}.")
