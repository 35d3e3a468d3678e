"""`cyphera alerts channels`: where alerts are sent to."""

import sys
from typing import Annotated
from uuid import UUID

import typer

from cyphera_pipelines.alerts.channels import Wanted, add
from cyphera_pipelines.alerts.delivering import send_test
from cyphera_pipelines.alerts.messages import Writer
from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.alerts import WorkspaceOption, workspace_id_of
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_remarks, print_table, short_id, short_ids
from cyphera_pipelines.cli.source import read_secret_variable
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.model.alert_channels import ChannelKind, DeliveryState
from cyphera_pipelines.model.alerts import AlertCause
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.store.alert_channels import find_by_prefix, list_channels, remove_channel
from cyphera_pipelines.store.workspaces import find_workspace, workspace_slugs

NOT_TAKEN = 1

app = typer.Typer(help="Channels: where alerts are sent to.", no_args_is_help=True)

ChannelArgument = Annotated[str, typer.Argument(help="The channel's name, or its id's first characters.")]


@app.command("list")
def list_all(workspace: WorkspaceOption = None, as_json: bool = JSON_OPTION) -> None:
    """Show channels and whether they take what is sent: everybody's, or those of a workspace."""
    workspace_id = workspace_id_of(workspace)
    found = list_channels(services.database(), workspace_id, everybody_s=workspace_id is None)
    if as_json:
        print_json([{**vars(each), "state": each.state} for each in found])
        return
    slugs, ids = workspace_slugs(services.database()), short_ids(each.id for each in found)
    rows = [
        (
            ids[each.id],
            each.name,
            "the deployment" if each.workspace_id is None else slugs.get(each.workspace_id),
            each.kind.value,
            each.address_shown,
            _told_of(each.causes, each.only_workspaces, slugs),
            each.state.value,
            ago(each.delivered_at),
        )
        for each in found
    ]
    empty = "No channels: nothing is sent. Add one: cyphera alerts channels add --help"
    print_table(("ID", "NAME", "WHOSE", "KIND", "ADDRESS", "TOLD OF", "STATE", "LAST TOOK"), rows, empty=empty)
    print_remarks((each.name, each.last_error) for each in found if each.last_error is not None)


@app.command("add")
def add_one(
    kind: Annotated[ChannelKind, typer.Argument(help="How it is spoken to.")],
    name: Annotated[str, typer.Option(help="What to call it.")],
    workspace: WorkspaceOption = None,
    to: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where to, of webhooks and e-mail: others hold secrets.")
    ] = None,
    address_env: Annotated[
        str | None, typer.Option(metavar="VAR", help="The environment variable that holds the address.")
    ] = None,
    causes: Annotated[
        list[AlertCause] | None, typer.Option("--cause", help="Tell it of this cause only; may be repeated.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="SLUG", help="Tell it of this workspace's sources only; may be repeated."),
    ] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Add a channel of the deployment, which is told of all sources, or of a workspace, which is told of its own.

    The address is read from standard input unless it is given: a web address for `webhook`, an incoming webhook of
    Slack's for `slack`, a person's for `email`, and whatever https://appriseit.com/services/ says for `apprise`.
    Examples: cyphera alerts channels add webhook --name pager --to https://example.com/alerts.
    cyphera alerts channels add slack --name ops < slack-webhook.txt
    """
    if only and workspace is not None:
        raise InvalidInputError("A workspace's channel is told of its own sources alone: leave out --only.")
    wanted = Wanted(
        name=name,
        kind=kind,
        address=_address(kind, to, address_env),
        causes=causes or None,
        only_workspaces=[find_workspace(services.database(), slug).id for slug in only] if only else None,
    )
    added = add(services.database(), services.keyring(), services.settings(), workspace_id_of(workspace), wanted)
    # Not through `print_error` and its like: they would cut the secret out.
    if as_json:
        print_json({"id": added.channel.id, "name": added.channel.name, "secret": added.secret})
        return
    typer.echo(f"Added channel {added.channel.name} ({short_id(added.channel.id)}): {added.channel.address_shown}")
    if added.secret is not None:
        typer.echo(f"Signing secret: {added.secret}")
        typer.echo("Keep it: it cannot be shown again. How to check a signature: docs/alerts.md", err=True)
    typer.echo(f"Next: cyphera alerts channels test {short_id(added.channel.id)}", err=True)


@app.command("test")
def send_one(channel: ChannelArgument, as_json: bool = JSON_OPTION) -> None:
    """Send a test to a channel, now and once. One that is taken revives a channel that was given up.

    Exit code 1: it was not taken; what is shown says why.
    """
    found = find_by_prefix(services.database(), channel)
    writer = Writer(services.settings().ops_url)
    with working(f"Sending a test to {found.name}"):
        done = send_test(services.database(), services.keyring(), services.settings(), writer, found)
    is_delivered = done.state is DeliveryState.DELIVERED
    if as_json:
        print_json(done)
    elif is_delivered:
        typer.echo(f"{found.name} took the test.")
    else:
        print_remarks([(found.name, done.last_error or "It did not take the test.")])
    if not is_delivered:
        raise typer.Exit(NOT_TAKEN)


@app.command("remove")
def remove(channel: ChannelArgument) -> None:
    """Send nothing to a channel any more, and forget where it led to."""
    found = find_by_prefix(services.database(), channel)
    remove_channel(services.database(), None, found.id)
    typer.echo(f"Removed channel {found.name} ({short_id(found.id)}).")


def _address(kind: ChannelKind, to: str | None, variable: str | None) -> str:
    if to is not None and variable is not None:
        raise InvalidInputError("Give the address once: with --to, --address-env or on standard input.")
    if to is not None:
        if kind not in (ChannelKind.WEBHOOK, ChannelKind.EMAIL):
            raise InvalidInputError(
                f"An address of {kind.value} is a secret, which never belongs on a command line: give it on standard "
                "input or with --address-env."
            )
        return to
    secret = read_secret_variable(variable)
    if secret is not None:
        return secret.get_secret_value()
    address = typer.prompt("Address", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    register_secret(address.strip())
    return str(address)


def _told_of(causes: tuple[str, ...] | None, only: tuple[UUID, ...] | None, slugs: dict[UUID, str]) -> str:
    of_causes = "all causes" if causes is None else ", ".join(causes)
    return of_causes if only is None else f"{of_causes} of {', '.join(slugs.get(each, str(each)) for each in only)}"
