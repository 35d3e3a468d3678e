"""`cyphera analyst`: people who read workspaces' tables and views with SQL."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_table
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.analyst_logins import Login
from cyphera_pipelines.store.analysts import (
    add_analyst,
    create_analyst,
    grant_workspaces,
    list_analysts,
    remove_analyst,
    revoke_workspaces,
    rotate_password,
)
from cyphera_pipelines.store.workspaces import find_workspace

app = typer.Typer(help="Analysts: logins to Postgres that read the tables of some workspaces.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The login, from `cyphera analyst list`.")]
WorkspacesOption = Annotated[
    str, typer.Option("--workspaces", help="Slugs of workspaces, separated by commas, as in acme,globex.")
]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="The login's name: lower-case letters, digits and _, as in 'jane'.")],
    workspaces: WorkspacesOption,
    as_json: bool = JSON_OPTION,
) -> None:
    """Make a login that reads these workspaces and nothing else, and show its password, this once: it is not kept.

    Where the database user may make no roles, the SQL for an administrator goes to stdout and the password to stderr,
    as in `cyphera analyst create jane --workspaces acme | psql -U postgres`.
    """
    of = _named(workspaces)
    _hand_over(create_analyst(services.database(), name, of), as_json)
    if not as_json:
        typer.echo(
            f"It reads the rows of {', '.join(workspace.slug for workspace in of)} in the schemas payments, analytics "
            f"and analytics_test, and nothing else.\nRemove it with: cyphera analyst drop {name}",
            err=True,
        )


@app.command("add")
def add(
    slug: SlugArgument,
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and _, as in 'jane'.")],
    as_json: bool = JSON_OPTION,
) -> None:
    """Make a login of one workspace that is named after it, as in acme_jane: otherwise the same as `create`."""
    login, _password = add_analyst(services.database(), find_workspace(services.database(), slug), name)
    _hand_over(login, as_json)
    if not as_json:
        typer.echo(
            "It reads this workspace's rows in the schemas payments, analytics and analytics_test, and nothing else.\n"
            f"Remove it with: cyphera analyst drop {login.role_name}",
            err=True,
        )


@app.command("list")
def list_all(
    slug: Annotated[str | None, typer.Argument(help="Only those who read this workspace.")] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show the analysts and what they read."""
    found = list_analysts(services.database(), find_workspace(services.database(), slug) if slug else None)
    if as_json:
        print_json(found)
        return
    rows = [
        (each.role_name, ", ".join(each.workspaces), ago(each.created_at), "yes" if each.is_on_server else "not yet")
        for each in found
    ]
    empty = "No analysts yet. Make one: cyphera analyst create NAME --workspaces SLUG"
    print_table(("USER", "WORKSPACES", "CREATED", "MAY LOG IN"), rows, empty=empty)


@app.command("grant")
def grant(name: NameArgument, workspaces: WorkspacesOption) -> None:
    """Let an analyst read these workspaces too."""
    of = _named(workspaces)
    grant_workspaces(services.database(), name, of)
    typer.echo(f"{name} reads {', '.join(workspace.slug for workspace in of)} from its next statement on.")


@app.command("revoke")
def revoke(name: NameArgument, workspaces: WorkspacesOption) -> None:
    """Let an analyst read these workspaces no longer."""
    of = _named(workspaces)
    revoke_workspaces(services.database(), name, of)
    typer.echo(f"{name} reads {', '.join(workspace.slug for workspace in of)} no longer.")


@app.command("rotate")
def rotate(name: NameArgument, as_json: bool = JSON_OPTION) -> None:
    """Give an analyst another password, and show it, this once. Connections that are open stay open."""
    _hand_over(rotate_password(services.database(), name), as_json)


@app.command("drop")
def drop(name: NameArgument) -> None:
    """Drop an analyst's login. Connections that it has open see nothing any more."""
    statements = remove_analyst(services.database(), name)
    if not statements:
        typer.echo(f"Dropped {name}.")
        return
    for statement in statements:
        typer.echo(statement)
    typer.echo(f"{name} reads nothing any more. To drop the login, an administrator executes the SQL above.", err=True)


app.command("remove", help="The same as `drop`.")(drop)


def _named(slugs: str) -> list[Workspace]:
    """The workspaces of a list with commas, each once. Raises NotFoundError, InvalidInputError for an empty list."""
    names = dict.fromkeys(name.strip() for name in slugs.split(",") if name.strip())
    if not names:
        raise InvalidInputError("--workspaces takes slugs of workspaces, as in acme,globex.")
    return [find_workspace(services.database(), name) for name in names]


def _hand_over(login: Login, as_json: bool) -> None:
    # Not through `print_error` and its like: they would cut the password out.
    if as_json:
        print_json({"role_name": login.role_name, "password": login.password, "statements": login.statements})
        return
    for statement in login.statements:
        typer.echo(statement)
    to_stderr = bool(login.statements)
    typer.echo(f"User: {login.role_name}", err=to_stderr)
    typer.echo(f"Password: {login.password}", err=to_stderr)
    if login.statements:
        typer.echo("It counts once an administrator of the server has executed the SQL above.", err=True)
