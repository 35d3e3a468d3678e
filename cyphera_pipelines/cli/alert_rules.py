"""`cyphera alerts rules`: when alerts are told."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.alerts import WorkspaceOption, workspace_id_of
from cyphera_pipelines.cli.output import JSON_OPTION, print_json, print_table
from cyphera_pipelines.model.alerts import AlertCause, AlertRule, checked_rule, rule_in_words
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.schedule_words import duration
from cyphera_pipelines.store.alert_rules import forget_rule, read_rules, set_rule

app = typer.Typer(help="Rules: when alerts are told.", no_args_is_help=True)

CauseArgument = Annotated[AlertCause, typer.Argument(help="What the rule is about.")]


@app.command("show")
def show(workspace: WorkspaceOption = None, as_json: bool = JSON_OPTION) -> None:
    """Show when each cause is told: to the deployment's channels, or to those of a workspace."""
    found = read_rules(services.database(), workspace_id_of(workspace))
    if as_json:
        print_json([{**vars(rule), "is_own": is_own} for rule, is_own in found.values()])
        return
    other = "default" if workspace is None else "the deployment's"
    rows = [
        (rule.cause.value, rule_in_words(rule), f"{rule.all_clear_after:,} s", "own" if is_own else other)
        for rule, is_own in found.values()
    ]
    print_table(("CAUSE", "TOLD", "ALL CLEAR AFTER", "WHOSE RULE"), rows, empty="")


@app.command("set")
def set_one(
    cause: CauseArgument,
    workspace: WorkspaceOption = None,
    times: Annotated[
        int | None,
        typer.Option(
            metavar="2",
            help="Tell it from so many on: failures in a row, webhooks, or rows. The other causes count nothing.",
        ),
    ] = None,
    after: Annotated[str | None, typer.Option(metavar="30m", help="Tell it when it is so old.")] = None,
    all_clear_after: Annotated[
        str | None,
        typer.Option(metavar="5m", help="Tell its end when it has been gone for so long: the deployment's rule only."),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Tell nothing of it.")] = False,
) -> None:
    """Change when a cause is told: with --times and --after whichever comes first, with neither at once.

    What of these two is not given counts for nothing any more. Examples: cyphera alerts rules set failed --times 3.
    cyphera alerts rules set late --workspace acme --after 2h
    """
    workspace_id = workspace_id_of(workspace)
    if off and (times is not None or after is not None):
        raise InvalidInputError("Give --off, or when it is told; not both.")
    if workspace is not None and all_clear_after is not None:
        raise InvalidInputError("How soon its end is told, the deployment's rule says: leave out --workspace.")
    present, _ = read_rules(services.database(), workspace_id)[cause]
    rule = checked_rule(
        AlertRule(
            cause=cause,
            is_on=not off,
            times=times,
            after=None if after is None else duration(after),
            all_clear_after=present.all_clear_after if all_clear_after is None else duration(all_clear_after),
        )
    )
    set_rule(services.database(), workspace_id, rule)
    typer.echo(f"{cause.value} is told {rule_in_words(rule)}.")


@app.command("reset")
def reset(cause: CauseArgument, workspace: WorkspaceOption = None) -> None:
    """Let the default count again, or for a workspace the deployment's rule."""
    workspace_id = workspace_id_of(workspace)
    forget_rule(services.database(), workspace_id, cause)
    rule, _ = read_rules(services.database(), workspace_id)[cause]
    typer.echo(f"{cause.value} is told {rule_in_words(rule)}.")
