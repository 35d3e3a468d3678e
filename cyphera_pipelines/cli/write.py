"""`cyphera write`: what was written at providers, and what became of it."""

from typing import Annotated, Any

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_remarks, print_table, short_id, short_ids
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.writes import Write, WriteState
from cyphera_pipelines.operations.settling import settle_overdue, settle_write
from cyphera_pipelines.store.id_prefixes import find_write_id
from cyphera_pipelines.store.provider_writes import find_write, page_writes
from cyphera_pipelines.store.workspaces import find_workspace

app = typer.Typer(help="Writes at providers, and what became of them.", no_args_is_help=True)
SETTLE_WITHIN = 600.0

WriteArgument = Annotated[str, typer.Argument(help="The write's id, or its first characters.")]


@app.command("list")
def list_some(
    slug: SlugArgument,
    provider: Annotated[str | None, typer.Option(help="Only those at this provider.")] = None,
    state: Annotated[WriteState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show a workspace's writes, newest first."""
    workspace = find_workspace(services.database(), slug)
    found, _total = page_writes(
        services.database(), workspace.id, provider=provider, state=state, limit=limit, offset=0
    )
    if as_json:
        print_json(found)
        return
    shown = short_ids(each.id for each in found)
    rows = [
        (
            shown[each.id],
            ago(each.created_at),
            each.provider_name,
            f"{each.operation} {each.kind}",
            each.object_id,
            each.state.value,
            each.actor_name or each.actor,
        )
        for each in found
    ]
    empty = f"Nothing was written for {slug} yet."
    print_table(("ID", "WHEN", "PROVIDER", "WHAT", "OBJECT", "STATE", "WHO"), rows, empty=empty)
    print_remarks((shown[each.id], str(each.problem["message"])) for each in found if each.problem is not None)


@app.command("show")
def show(write_id: WriteArgument, as_json: bool = JSON_OPTION) -> None:
    """Show one write and what became of it. Nothing is asked at the provider."""
    _print(_find(write_id), as_json=as_json)


@app.command("settle")
def settle(
    write_id: Annotated[
        str | None, typer.Argument(help="One write, by its id or its first characters; left out, all that are due.")
    ] = None,
    slug: Annotated[str | None, typer.Option("--workspace", help="Only this workspace's.")] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Find out what became of writes of which no answer came.

    Each is looked for at its provider; what is not there is sent again under its idempotency key, as long as the
    provider knows that. Dagster does the same every half minute. Ends with status 2 if some could not be settled.
    """
    if write_id is not None:
        settled = settle_write(services.database(), services.keyring(), _find(write_id))
        _print(settled, as_json=as_json)
        raise typer.Exit(0 if settled.state.is_final else 2)
    workspace_id = None if slug is None else find_workspace(services.database(), slug).id
    portion = settle_overdue(
        services.database(), services.keyring(), within=SETTLE_WITHIN, quiet_for=0.0, workspace_id=workspace_id
    )
    if as_json:
        print_json({"settled": portion.settled, "unknown": portion.unknown, "failed": portion.failed})
    else:
        typer.echo(f"{portion}.")
        print_remarks(
            (short_id(each.id), f"{each.operation} {each.kind}: {each.state.value}") for each in portion.settled
        )
        print_remarks((short_id(each.id), str((each.problem or {}).get("message"))) for each in portion.unknown)
        print_remarks((f"configuration {short_id(each)}", reason) for each, reason in portion.failed.items())
    raise typer.Exit(2 if portion.unknown or portion.failed or not portion.is_all else 0)


def _find(text: str) -> Write:
    return find_write(services.database(), find_write_id(services.database(), text))


def _print(write: Write, *, as_json: bool) -> None:
    if as_json:
        print_json(write)
        return
    facts: dict[str, Any] = {
        "id": write.id,
        "provider": f"{write.provider_name}, {'live' if write.livemode else 'test'} mode",
        "what": f"{write.operation} {write.kind}",
        "object": write.object_id,
        "state": write.state.value,
        "idempotency key": write.idempotency_key,
        "key at the provider": write.key_at_provider,
        "asked for": ago(write.created_at),
        "by": write.actor_name or write.actor,
        "taken up": write.attempts,
        "settled": ago(write.settled_at),
        "found by reading": write.was_found,
        "problem": None if write.problem is None else write.problem.get("message"),
    }
    print_table(("WRITE", str(write.id)), list(facts.items())[1:], empty="")
