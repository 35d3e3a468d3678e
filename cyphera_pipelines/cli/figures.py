"""`cyphera figures`: what is counted from the tables, by which rules, and when."""

import csv
from dataclasses import asdict
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_table
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.figures.all_figures import build_all
from cyphera_pipelines.figures.rules import PRESET_SENTENCES, PRESETS, RULES, read_rules, set_rules
from cyphera_pipelines.model.currencies import EXPONENTS
from cyphera_pipelines.model.errors import InvalidInputError, NotFoundError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.exchange_rates import ExchangeRate, list_known_rates, write_rates
from cyphera_pipelines.store.figure_builds import list_figure_builds, present_mrr
from cyphera_pipelines.store.sources import find_source, list_sources
from cyphera_pipelines.store.workspaces import find_workspace

COLUMNS_OF_RATES = ("currency", "into_currency", "day", "rate")

app = typer.Typer(
    help="Figures: monthly recurring revenue and its movements, counted from the tables. Syncs bring them in step; "
    "analysts read them in schema analytics.",
    no_args_is_help=True,
)

WorkspaceArgument = Annotated[str, typer.Argument(metavar="SLUG", help="The workspace.")]


@app.command("build")
def build(
    workspace: WorkspaceArgument,
    provider: Annotated[
        str | None, typer.Argument(metavar="[PROVIDER]", help="Its source at this provider; all of them if not given.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Count everything anew, not only what changed since the last build.")
    ] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """Bring figures in step with the tables now.

    Syncs through Dagster do it by themselves. It is needed after a change of rules, if that is to show at once.

    Example: cyphera figures build acme stripe
    """
    built = []
    for source in _sources(workspace, provider):
        livemode = not source.is_test_mode
        with working(f"Counting the figures of {source.key}"):
            result, revenue = build_all(services.database(), source, livemode=livemode, full=full)
            mrr = present_mrr(services.database(), source, livemode=livemode)
        built.append((source, result, revenue, mrr))
    if as_json:
        print_json(
            [
                {
                    "source": source.key,
                    "livemode": not source.is_test_mode,
                    **asdict(result),
                    "mrr": mrr,
                    "revenue": asdict(revenue),
                }
                for source, result, revenue, mrr in built
            ]
        )
        return
    rows = [
        (
            source.key,
            result.customers,
            revenue.months,
            result.written + revenue.written,
            result.removed + revenue.removed,
            result.was_full and revenue.was_full,
            _in_words(mrr),
        )
        for source, result, revenue, mrr in built
    ]
    print_table(
        ("SOURCE", "CUSTOMERS#", "MONTHS#", "ROWS WRITTEN#", "ROWS REMOVED#", "ALL ANEW", "MRR NOW"), rows, empty=""
    )


@app.command("rules")
def rules(
    workspace: WorkspaceArgument,
    preset: Annotated[
        str | None, typer.Option(metavar="|".join(PRESETS), help="Begin with these rules, and forget former changes.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="RULE=CHOICE", help="Change one rule; may be repeated.")
    ] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show by which rules a workspace's figures are counted, or change them.

    A change makes the next build count everything anew, the past too. What each choice means is told beside it.

    Examples: cyphera figures rules acme. cyphera figures rules acme --preset chartmogul --set once_coupons=subtract
    """
    found = find_workspace(services.database(), workspace)
    if preset is not None or changes:
        _change_rules(found, preset, dict(_split(change) for change in changes or ()))
    with services.database().tenant(found.id) as connection:
        chosen, now = read_rules(connection, found.id)
    if as_json:
        print_json({"workspace": found.slug, "preset": chosen, "rules": asdict(now)})
        return
    of_preset = PRESETS[chosen]
    rows = [
        (
            name,
            f"{getattr(now, name)}{'' if getattr(now, name) == getattr(of_preset, name) else ' (changed)'}",
            " | ".join(choice for choice in rule.choices if choice != getattr(now, name)),
            f"{rule.case}: {rule.choices[getattr(now, name)]}",
        )
        for name, rule in RULES.items()
    ]
    typer.echo(f"Preset {chosen}. {PRESET_SENTENCES[chosen]}")
    print_table(("RULE", "CHOICE", "OR", "MEANS"), rows, empty="")
    if preset is not None or changes:
        typer.echo(f"Changed. The figures follow soon, or now by: cyphera figures build {found.slug}")


@app.command("status")
def status(
    workspace: Annotated[
        str | None, typer.Argument(metavar="[SLUG]", help="One workspace; all of them if not given.")
    ] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show when each source's figures last changed or were found in step, and by which rules.

    Example: cyphera figures status
    """
    database = services.database()
    builds = list_figure_builds(database, None if workspace is None else find_workspace(database, workspace).id)
    if as_json:
        print_json([{"source": build.source, **asdict(build)} for build in builds])
        return
    rows = [
        (
            build.source,
            "live" if build.livemode else "test",
            ago(build.built_at),
            ", ".join(f"{name}={choice}" for name, choice in _unlike_ours(build.rules).items()) or "as cyphera",
        )
        for build in builds
    ]
    empty = "No figures yet: they come with the first sync that finds a subscription. See: cyphera figures build --help"
    print_table(("SOURCE", "MODE", "IN STEP AS OF", "RULES"), rows, empty=empty)


@app.command("rates")
def rates(
    workspace: WorkspaceArgument,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="rates.csv", dir_okay=False, help="Take these: currency,into_currency,day,rate, a header."
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Forget all that are not in the file.")] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show the exchange rates of a workspace, or take them from a file. Nothing is converted by others.

    A rate is what one whole unit of `currency` is in `into_currency`; it counts from its day until the next one's.

    Example: cyphera figures rates acme --from rates.csv
    """
    found = find_workspace(services.database(), workspace)
    if replace and file is None:
        raise InvalidInputError("--replace needs the rates that are to stay: give --from rates.csv too.")
    if file is not None:
        write_rates(services.database(), found, _read_rates(file), replaces=replace)
    known = list_known_rates(services.database(), found)
    if as_json:
        print_json(known)
        return
    rows = [(each.currency, each.into_currency, each.rates, each.first_day, each.last_day) for each in known]
    empty = f"No rates: figures are in their own currencies only. See: cyphera figures rates --help ({found.slug})"
    print_table(("CURRENCY", "INTO", "RATES#", "FROM", "LAST"), rows, empty=empty)


def _sources(workspace: str, provider: str | None) -> list[Source]:
    database = services.database()
    if provider is not None:
        return [find_source(database, f"{workspace}:{provider}")]
    found = find_workspace(database, workspace)
    sources = [source for source in list_sources(database) if source.workspace_id == found.id]
    if not sources:
        raise NotFoundError(f"Workspace {workspace!r} has no active source. See: cyphera source list")
    return sources


def _change_rules(workspace: Workspace, preset: str | None, changed: dict[str, str]) -> None:
    if preset is None:
        with services.database().tenant(workspace.id) as connection:
            preset, now = read_rules(connection, workspace.id)
        changed = asdict(now) | changed
    set_rules(services.database(), workspace, preset, changed)


def _split(change: str) -> tuple[str, str]:
    name, equals, choice = change.partition("=")
    if not equals:
        raise InvalidInputError(
            f"{change!r} is no change of a rule: say --set RULE=CHOICE, as in once_coupons=subtract."
        )
    return name.strip(), choice.strip()


def _unlike_ours(rules: dict[str, str]) -> dict[str, str]:
    ours = asdict(PRESETS["cyphera"])
    return {name: choice for name, choice in rules.items() if ours.get(name) != choice}


def _in_words(mrr: dict[str, Decimal]) -> str:
    return ", ".join(f"{amount:,f} {currency}" for currency, amount in mrr.items()) or "-"


def _read_rates(file: Path) -> list[ExchangeRate]:
    """The rates of a CSV file. Raises InvalidInputError that names the line."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file} cannot be read: {error}.") from None
    reader = csv.DictReader(lines)
    missing = [name for name in COLUMNS_OF_RATES if name not in (reader.fieldnames or ())]
    if missing:
        raise InvalidInputError(
            f"{file} has no column {missing[0]!r}: its first line is to be {','.join(COLUMNS_OF_RATES)}."
        )
    return [_rate(file, reader.line_num, row) for row in reader]


def _rate(file: Path, line: int, row: dict[str, str | None]) -> ExchangeRate:
    currency, into, day, rate = ((row[name] or "").strip() for name in COLUMNS_OF_RATES)
    try:
        for code in (currency, into):
            if code.lower() not in EXPONENTS:
                raise ValueError(f"{code!r} is no currency")
        made = ExchangeRate(currency.lower(), into.lower(), date.fromisoformat(day), Decimal(rate))
        if not made.rate.is_finite() or made.rate <= 0:
            raise ValueError(f"{rate!r} is no rate")
    except InvalidOperation:
        raise InvalidInputError(f"Line {line} of {file}: {rate!r} is no number, as 1.0834 is.") from None
    except ValueError as error:
        raise InvalidInputError(f"Line {line} of {file}: {error}.") from None
    return made
