"""`cyphera status`: whether the tables are up to date, and what keeps them from it."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.freshness_cells import shown_as_json
from cyphera_pipelines.cli.output import JSON_OPTION, print_json, print_remarks, with_code
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.freshness import Freshness
from cyphera_pipelines.model.schedule import length_in_words
from cyphera_pipelines.store.freshness import count_by_freshness, list_least_fresh
from cyphera_pipelines.store.workspaces import find_workspace


def status(
    slug: Annotated[str | None, typer.Argument(help="Only this workspace's sources.")] = None,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="How many that are not fresh are named.")] = 20,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Exit with 1 if a source fails, is late or long overdue, or is paused for its failures."
        ),
    ] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show how fresh the sources are: how many in which state, then the worst, and what to do about each.

    Example, for a monitor: cyphera status --check --json
    """
    database = services.database()
    workspace_id = None if slug is None else find_workspace(database, slug).id
    counts = count_by_freshness(database, workspace_id)
    worst = list_least_fresh(database, workspace_id, limit=limit)
    if as_json:
        print_json(
            {
                "sources": {state.value: counts.sources[state] for state in Freshness},
                "syncing": counts.syncing,
                "paused_by_people": counts.paused_by_people,
                "overdue": counts.overdue_sources,
                "overdue_seconds": round(counts.overdue_seconds),
                "healthy": counts.is_healthy,
                "worst": [shown_as_json(each) for each in worst],
            }
        )
    elif not counts.total:
        typer.echo("No sources yet. Add one: cyphera source add SLUG stripe --api-key-stdin")
    else:
        told = [
            f"{counts.sources[state]:,} {state.value.replace('_', ' ')}"
            for state in reversed(Freshness)
            if counts.sources[state] or state is Freshness.FRESH
        ]
        typer.echo(f"{counted(counts.total, 'source')}: {', '.join(told)}.")
        if counts.syncing:
            typer.echo(f"{counts.syncing:,} syncing now.")
        if counts.overdue_sources:
            waits = length_in_words(max(60, round(counts.overdue_seconds / 60) * 60))
            typer.echo(f"{counts.overdue_sources:,} due now, the longest for {waits}.")
        print_remarks(
            (each.key, f"{with_code(each.sentence, each.code)} {each.remedy or ''}".strip()) for each in worst
        )
        others = counts.total - counts.sources[Freshness.FRESH] - len(worst)
        if others > 0:
            typer.echo(f"And {others:,} more that are not fresh: cyphera status --limit {others + len(worst)}")
    if check and not counts.is_healthy:
        raise typer.Exit(1)
