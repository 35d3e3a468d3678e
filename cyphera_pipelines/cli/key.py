"""`cyphera key`: what opens a workspace to programs that use the HTTP API, and all of them to an operator."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.ops_address import ops_address
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_table, short_id, short_ids
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.schedule_words import duration
from cyphera_pipelines.store.api_keys import ApiKey, create_api_key, list_api_keys, revoke_api_key
from cyphera_pipelines.store.id_prefixes import find_key_id
from cyphera_pipelines.store.operator_keys import (
    OperatorKey,
    create_operator_key,
    list_operator_keys,
    revoke_operator_key,
)
from cyphera_pipelines.store.workspaces import find_workspace

LONGEST = timedelta(days=3650)

app = typer.Typer(
    help="Keys of the HTTP API: each opens one workspace. Operators' keys open the page at /ops for all of them.",
    no_args_is_help=True,
)
SlugOfKeyArgument = Annotated[str | None, typer.Argument(help="The workspace's slug; none with --operator.")]


@app.command("create")
def create(
    slug: SlugOfKeyArgument = None,
    is_operator: Annotated[
        bool, typer.Option("--operator", help="Make an operator's key, which signs in at /ops and sees all workspaces.")
    ] = False,
    name: Annotated[str, typer.Option(help="Who or what the key is for.")] = "api",
    is_read_only: Annotated[
        bool, typer.Option("--read-only", help="Let it ask only, and start and change nothing.")
    ] = False,
    may_write: Annotated[
        bool, typer.Option("--write", help="Let it also write at providers: charge, refund, ...")
    ] = False,
    is_admin: Annotated[
        bool, typer.Option("--admin", help="Let it also say to which accounts providers pay money out.")
    ] = False,
    expires: Annotated[
        str | None, typer.Option(metavar="90d", help="Let it work for so long only; minutes, hours or days.")
    ] = None,
    for_shell: Annotated[
        bool, typer.Option("--export", help="Print a line that a shell can evaluate: API_KEY and WORKSPACE_ID.")
    ] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """Make a key for a workspace, or for an operator, and show it, this once: it is not kept.

    Without one of --read-only, --write and --admin it may read, and start and change syncs.
    """
    if is_operator == (slug is not None):
        raise InvalidInputError("Name the workspace that the key opens, as in: cyphera key create acme; or --operator.")
    level = _level(is_read_only=is_read_only, may_write=may_write, is_admin=is_admin)
    expires_in = None if expires is None else timedelta(seconds=duration(expires))
    if expires_in is not None and not timedelta(0) < expires_in <= LONGEST:
        raise InvalidInputError(f"A key may work for 1 minute to {LONGEST.days} days, as in --expires 90d.")
    if not name.strip() or not name.isprintable():
        raise InvalidInputError("The key's name must be printable text, as in --name backend.")
    if slug is None:
        if for_shell:
            raise InvalidInputError("--export is for a workspace's key: an operator's opens the page at /ops only.")
        _create_of_operator(name.strip(), level, expires_in, as_json=as_json)
        return
    workspace = find_workspace(services.database(), slug)
    made, key = create_api_key(services.database(), workspace, name.strip(), level, expires_in=expires_in)
    # Not through `print_error` and its like: they would cut the key out.
    if as_json:
        shown = {"id": made.id, "name": made.name, "workspace_id": made.workspace_id, "api_key": key.as_text()}
        print_json({**shown, "level": made.level, "expires_at": made.expires_at})
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


def _create_of_operator(name: str, level: KeyLevel, expires_in: timedelta | None, *, as_json: bool) -> None:
    made, key = create_operator_key(services.database(), name, level, expires_in=expires_in)
    if as_json:
        shown = {"id": made.id, "name": made.name, "operator_key": key.as_text()}
        print_json({**shown, "level": made.level, "expires_at": made.expires_at})
        return
    typer.echo(key.as_text())
    typer.echo(
        f"Sign in with it at the API's page, as in {ops_address(services.settings())}. It sees every workspace.\n"
        "Keep it: it cannot be shown again.\n"
        f"Revoke it with: cyphera key revoke {short_id(made.id)}",
        err=True,
    )


@app.command("list")
def list_all(
    slug: SlugOfKeyArgument = None,
    of_operators: Annotated[bool, typer.Option("--operators", help="Show the operators' keys.")] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show a workspace's keys, or the operators': their names and use, never the keys themselves."""
    if of_operators == (slug is not None):
        raise InvalidInputError("Name the workspace, as in: cyphera key list acme; or --operators.")
    keys: Sequence[ApiKey | OperatorKey]
    if slug is None:
        keys, how_to_make = list_operator_keys(services.database()), "cyphera key create --operator"
    else:
        keys = list_api_keys(services.database(), find_workspace(services.database(), slug))
        how_to_make = f"cyphera key create {slug}"
    if as_json:
        print_json(keys)
        return
    shown = short_ids(each.id for each in keys)
    rows = [
        (
            shown[each.id],
            each.name,
            each.level.value,
            ago(each.created_at),
            ago(each.last_used_at),
            "never" if each.expires_at is None else f"{each.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            "yes" if each.works_at(datetime.now(UTC)) else "no",
        )
        for each in keys
    ]
    empty = f"No keys yet. Make one: {how_to_make}"
    print_table(("ID", "NAME", "LEVEL", "CREATED", "LAST USED", "EXPIRES", "WORKS"), rows, empty=empty)


def _level(*, is_read_only: bool, may_write: bool, is_admin: bool) -> KeyLevel:
    chosen = [
        level
        for level, is_chosen in (
            (KeyLevel.READ, is_read_only),
            (KeyLevel.WRITE, may_write),
            (KeyLevel.ADMIN, is_admin),
        )
        if is_chosen
    ]
    if len(chosen) > 1:
        raise InvalidInputError("Give one of --read-only, --write and --admin: --admin includes --write.")
    return chosen[0] if chosen else KeyLevel.SYNC


@app.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id, or its first characters.")]) -> None:
    """Make a key worthless, from the next request on. Whoever is signed in with it is so no more."""
    database = services.database()
    found = find_key_id(database, key_id)
    revoked = revoke_operator_key(database, found.id) if found.is_operator_s else revoke_api_key(database, found.id)
    typer.echo(f"Revoked key {revoked.name} ({short_id(revoked.id)}).")
