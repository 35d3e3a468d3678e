"""`cyphera schedule`: when sources are brought up to date by themselves."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.freshness_cells import due, shown_as_json, state_of
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_remarks, print_table, with_code
from cyphera_pipelines.cli.source_pause import pause_and_tell, resume_and_tell
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.model.errors import InvalidInputError, NotFoundError
from cyphera_pipelines.model.freshness import SourceFreshness
from cyphera_pipelines.model.schedule_words import changed, duration
from cyphera_pipelines.model.source import Source, split_source_key
from cyphera_pipelines.store.freshness import freshness_of_workspace, read_freshness
from cyphera_pipelines.store.schedules import change_schedule
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.workspaces import find_workspace

app = typer.Typer(
    help="Schedules: when sources are brought up to date by themselves. By default changes are applied hourly, and "
    "everything is listed anew weekly; each source has its own place in the hour.",
    no_args_is_help=True,
)

SourcesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SLUG PROVIDER | SOURCE...]", help="One as in `acme stripe`, or any number as in acme:stripe."
    ),
]
WorkspaceOption = Annotated[
    str | None, typer.Option("--workspace", metavar="SLUG", help="All sources of this workspace.")
]


@app.command("show")
def show(sources: SourcesArgument = None, workspace: WorkspaceOption = None, as_json: bool = JSON_OPTION) -> None:
    """Show when sources are due, and how fresh they are; all of them unless some are named.

    Example: cyphera schedule show acme stripe
    """
    found = _find(sources, workspace) if sources or workspace else list(read_freshness(services.database()).values())
    _print(found, as_json=as_json)


@app.command("set")
def set_schedule(
    sources: SourcesArgument = None,
    workspace: WorkspaceOption = None,
    every: Annotated[
        str | None, typer.Option(metavar="15m", help="Apply changes at this interval, 5m to 7d: minutes, hours, days.")
    ] = None,
    daily: Annotated[
        str | None, typer.Option(metavar="02:30", help="Apply changes once a day at this time, instead of an interval.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(metavar="Europe/Berlin", help="Where that is the time of day; UTC unless given.")
    ] = None,
    full_every: Annotated[
        str | None,
        typer.Option(
            metavar="7d", help="List everything anew at this interval, 1h to 90d; not more often than changes are due."
        ),
    ] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Change when sources are brought up to date by themselves. What is not given stays.

    Examples: cyphera schedule set acme stripe --every 15m.
    cyphera schedule set --workspace acme --daily 02:30 --time-zone Europe/Berlin --full-every 30d
    """
    if every is None and daily is None and time_zone is None and full_every is None:
        raise InvalidInputError(
            "Nothing to change: give --every 15m, --daily 02:30, --time-zone ZONE or --full-every 7d."
        )
    given = {
        "changes_every": None if every is None else duration(every),
        "daily_at": daily,
        "time_zone": time_zone,
        "listing_every": None if full_every is None else duration(full_every),
    }
    found = _find(sources, workspace)
    # All of them are checked before the first is changed.
    wanted = {each.key: changed(each.schedule, **given) for each in found}  # type: ignore[arg-type]
    with working("Changing schedules"):
        for key, schedule in wanted.items():
            change_schedule(services.database(), find_source(services.database(), key), schedule)
    _print(
        list(read_freshness(services.database(), [split_source_key(key) for key in wanted]).values()), as_json=as_json
    )


@app.command("pause")
def pause(
    sources: SourcesArgument = None,
    workspace: WorkspaceOption = None,
    reason: Annotated[str | None, typer.Option(help="Why: whoever asks for a sync is told.")] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel a sync that runs; else it goes on.")] = False,
) -> None:
    """Let no sync of the sources start until they are resumed, as `cyphera source pause` does.

    Example: cyphera schedule pause --workspace acme --reason "moving to another account"
    """
    for source in _sources(sources, workspace):
        pause_and_tell(source, reason, cancel=cancel, command="cyphera schedule pause")


@app.command("resume")
def resume(sources: SourcesArgument = None, workspace: WorkspaceOption = None) -> None:
    """Let syncs of paused sources start again: each at its next place, not all of them now.

    Where what webhooks told waits for a sync, that starts at once.

    Example: cyphera schedule resume acme stripe
    """
    for source in _sources(sources, workspace):
        resume_and_tell(source)


def _sources(sources: list[str] | None, workspace: str | None) -> list[Source]:
    return [find_source(services.database(), each.key) for each in _find(sources, workspace)]


def _find(sources: list[str] | None, workspace: str | None) -> list[SourceFreshness]:
    """What is named, in that order. Raises InvalidInputError and NotFoundError."""
    database = services.database()
    if workspace is not None:
        if sources:
            raise InvalidInputError("Name sources, or give --workspace; not both.")
        found = list(freshness_of_workspace(database, find_workspace(database, workspace).id).values())
        if not found:
            raise NotFoundError(f"Workspace {workspace!r} has no active source. See: cyphera source list")
        return found
    if not sources:
        raise InvalidInputError("Name the sources, as in acme:stripe, or give --workspace SLUG.")
    is_pair = len(sources) == 2 and not any(":" in each for each in sources)
    keys = [":".join(sources)] if is_pair else list(dict.fromkeys(sources))
    for key in keys:
        find_source(database, key)
    states = read_freshness(database, [split_source_key(key) for key in keys])
    return [states[key] for key in keys]


def _print(found: list[SourceFreshness], *, as_json: bool) -> None:
    if as_json:
        print_json([shown_as_json(each) for each in found])
        return
    rows = [
        (each.key, str(each.schedule), due(each), ago(each.checked_at), ago(each.fresh_at), state_of(each))
        for each in found
    ]
    empty = "No sources yet. Add one: cyphera source add SLUG stripe --api-key-stdin"
    print_table(("SOURCE", "SCHEDULE", "NEXT", "CHECKED", "FRESH AS OF", "STATE"), rows, empty=empty)
    print_remarks(
        (each.key, with_code(each.sentence, each.code)) for each in found if each.pause is not None or each.last_failure
    )
