"""`cyphera explain`: how a customer's monthly recurring revenue came to be."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.figures_options import ProviderOption, TestModeOption
from cyphera_pipelines.cli.output import JSON_OPTION, print_json, print_table
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.figures.rules import LEFT_OUT, REASONS
from cyphera_pipelines.store.completeness import Completeness, find_figures
from cyphera_pipelines.store.explanations import (
    ExplainedCustomer,
    ExplainedItem,
    Movement,
    Step,
    end_of,
    explain_customer,
)
from cyphera_pipelines.store.workspaces import find_workspace

DISCOUNTS_LEFT_OUT = {
    "once_coupons": "The rules do not subtract a discount that is for one invoice only.",
    "repeating_coupons": "The rules do not subtract a discount that is for a number of months.",
    "currency": "It is an amount in another currency.",
    "product": "It is for other products.",
    "unknown_terms": "The provider does not tell what it takes off.",
}
"""Why a discount takes nothing off, by the code that the build writes."""


def explain(
    slug: SlugArgument,
    customer: Annotated[str, typer.Argument(help="The customer's id, as in cus_NffrFeUfNV2Hib.")],
    on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="At the end of this day (UTC). Without it: now."),
    ] = None,
    provider: ProviderOption = None,
    test_mode: TestModeOption = False,
    personal: Annotated[bool, typer.Option("--personal", help="With the customer's name and e-mail address.")] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show how a customer's MRR came to be, step by step: price, tiers, discounts, tax, factor, rounding.

    What counts nothing is there too, with the rule that leaves it out. The sum is
    the figure of every other place: analytics.subscription_mrr, pandas, the report.
    The same is the view analytics.mrr_explained.

    cyphera explain acme cus_NffrFeUfNV2Hib --on 2026-03-31
    """
    database = services.database()
    workspace = find_workspace(database, slug)
    completeness = find_figures(database, workspace, is_test_mode=test_mode, provider=provider)
    day = None if on is None else on.date()
    explained = explain_customer(
        database, workspace, customer, is_test_mode=test_mode, provider=provider, on=day, personal=personal
    )
    if (reason := completeness.missing_because(explained.provider)) is not None:
        typer.echo(f"Figures of {explained.provider} are incomplete: {reason}", err=True)
    if as_json:
        print_json(_as_json(explained, completeness))
    else:
        _show(explained, completeness, day)


def _show(explained: ExplainedCustomer, completeness: Completeness, day: date | None) -> None:
    is_over = day is not None and datetime.now(UTC) >= end_of(day)
    when = f"at the end of {day}" if is_over else f"at {explained.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    who = ", ".join(each for each in (explained.name, explained.email) if each)
    named = f" ({who})" if who else ""
    typer.echo(f"Customer {explained.customer_id}{named} of {completeness.workspace.slug}:{explained.provider}, {when}")
    for item in explained.items:
        typer.echo("")
        typer.echo(_headline(item))
        print_table(("STEP", "AMOUNT#", "RESULT#", ""), [_row(step) for step in item.steps], empty="")
    typer.echo("")
    if not explained.items:
        typer.echo("No subscription of the customer is known to have begun by then: there is no MRR.")
    for currency, mrr in explained.mrr.items():
        typer.echo(f"MRR in {currency.upper()}: {mrr:,f}")
    for movement in explained.movements:
        typer.echo(_about(movement))
    for sentence in completeness.sentences(explained.provider, explained.mrr):
        typer.echo(sentence)


def _headline(item: ExplainedItem) -> str:
    until = "" if item.valid_to is None else f" to {item.valid_to.astimezone(UTC):%Y-%m-%d %H:%M}"
    marks = [item.provenance] if item.provenance != "observed" else []
    marks += ["estimated"] if item.is_estimated else []
    marked = f" ({', '.join(marks)})" if marks else ""
    currency = "" if item.currency is None else f", {item.currency.upper()}"
    since = f"{item.valid_from.astimezone(UTC):%Y-%m-%d %H:%M}"
    return f"{item.subscription_id}, item {item.item_id}{currency}, since {since}{until} UTC{marked}"


def _row(step: Step) -> tuple[object, ...]:
    amount = "" if step.kind == "mrr" else _plain(step.amount)
    return (step.label, amount, _plain(step.result), _reason(step) or "")


def _reason(step: Step) -> str | None:
    """The sentence of the rule by which something does not count."""
    if step.rule is None:
        return None
    sentences = LEFT_OUT if step.kind == "left_out" else DISCOUNTS_LEFT_OUT
    return sentences.get(step.rule, step.rule)


def _about(movement: Movement) -> str:
    reason = REASONS.get(movement.reason, movement.reason)
    source = "" if movement.provenance == "observed" else f" ({movement.provenance})"
    return (
        f"Last movement in {movement.currency.upper()}: {movement.movement} on {movement.day}, from "
        f"{movement.opening:,f} to {movement.closing:,f}{source}. {reason}"
    )


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:,f}"


def _as_json(explained: ExplainedCustomer, completeness: Completeness) -> dict[str, Any]:
    """Amounts are strings, so that no digit is lost."""
    return {
        "workspace": completeness.workspace.slug,
        "provider": explained.provider,
        "test_mode": completeness.is_test_mode,
        "customer_id": explained.customer_id,
        "name": explained.name,
        "email": explained.email,
        "at": explained.at,
        "mrr": explained.mrr,
        "items": [
            {**asdict(item), "mrr": item.mrr, "steps": list(_steps_as_json(item.steps))} for item in explained.items
        ],
        "movements": [
            {**asdict(each), "sentence": REASONS.get(each.reason, each.reason)} for each in explained.movements
        ],
        "completeness": completeness.sentences(explained.provider, explained.mrr),
    }


def _steps_as_json(steps: tuple[Step, ...]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield {**asdict(step), "sentence": _reason(step)}
