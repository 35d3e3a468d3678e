"""`cyphera sandbox change`: something happens at the provider, so that the next sync of changes shows something."""

from typing import Annotated, Any

import typer

from cyphera_pipelines.cli.output import print_table
from cyphera_pipelines.cli.sandbox_arrivals import Arrivals
from cyphera_pipelines.cli.sandbox_client import ask, find_account, id_of, is_site, place_of, sandbox_client, short_name
from cyphera_pipelines.cli.sandbox_port import DEFAULT_PORT
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import InvalidInputError

MOST_SHOWN = 30
DEMO_KEYS = ("sk_test_cyphera_demo_", "test_cyphera_demo_")
_COUNTS = "ENTITY=COUNT"
_ENTITIES = ", ".join(Entity)
A_LITTLE_OF_EVERYTHING: dict[str, dict[str, int]] = {
    "create": {Entity.CUSTOMERS: 2, Entity.INVOICES: 3},
    "update": {Entity.CUSTOMERS: 2, Entity.SUBSCRIPTIONS: 2, Entity.INVOICES: 5},
    "delete": {Entity.SUBSCRIPTIONS: 1},
}


def change(
    account: Annotated[
        str | None,
        typer.Argument(
            help="Which account: what its key ends in, as in `acme` (the first), `globex` or `initech`, or its id.",
            show_default=False,
        ),
    ] = None,
    create: Annotated[
        list[str] | None,
        typer.Option(help="As in customers=3: so many new ones. May be given several times.", metavar=_COUNTS),
    ] = None,
    update: Annotated[
        list[str] | None,
        typer.Option(
            help="As in invoices=5: so many change. Drafts are finalized, open invoices paid, subscriptions get a "
            "greater quantity, customers another name or balance; products and prices are switched on or off.",
            metavar=_COUNTS,
        ),
    ] = None,
    delete: Annotated[
        list[str] | None,
        typer.Option(
            help="As in subscriptions=1: so many go. Subscriptions are canceled; drafts go before other invoices.",
            metavar=_COUNTS,
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the sandbox listens on 127.0.0.1.")] = DEFAULT_PORT,
) -> None:
    """Let something happen in a running sandbox: objects are created, updated and deleted, each with its event.

    Without options a little of everything happens. The webhook endpoints that were made in the sandbox are told, of a
    thousand changes as of one. Without any, a sync of changes shows it:

        cyphera sandbox change acme --create customers=3 --update invoices=10 --delete subscriptions=1

        cyphera sync demo-acme stripe --delta
    """
    wanted = {"create": _counts(create), "update": _counts(update), "delete": _counts(delete)}
    if not any(wanted.values()):
        wanted = A_LITTLE_OF_EVERYTHING
    with sandbox_client(port) as client:
        chosen = find_account(account, ask(client, "GET", "/accounts"))
        arrivals = Arrivals(client)
        changes = ask(client, "POST", "/changes", {"account": place_of(chosen), **wanted})
        _show(chosen, changes)
        has_arrived = arrivals.show()
    _say_when_it_shows(chosen, has_arrived)


def _counts(given: list[str] | None) -> dict[str, int]:
    """`["customers=3"]` as `{"customers": 3}`. Raises InvalidInputError."""
    counts: dict[str, int] = {}
    for text in given or ():
        name, _, number = text.partition("=")
        if name not in set(Entity):
            raise InvalidInputError(f"{name!r} is not one of {_ENTITIES}: write, say, customers=3.")
        if not (number.isascii() and number.isdecimal() and 0 < int(number) <= 100_000):
            raise InvalidInputError(f"How many {name}? Write, say, {name}=3; 100,000 at most.")
        counts[name] = counts.get(name, 0) + int(number)
    return counts


def _show(account: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    typer.echo(f"What happened in {account['name']} ({id_of(account)}), each with a provider event:\n")
    rows = [(each["object_id"], each["event_type"]) for each in changes]
    print_table(("OBJECT", "EVENT"), rows[:MOST_SHOWN], empty="Nothing: there was nothing of the kind to change.")
    if len(rows) > MOST_SHOWN:
        typer.echo(f"... and {len(rows) - MOST_SHOWN} more.")
    typer.echo("")


def _say_when_it_shows(account: dict[str, Any], has_arrived: bool) -> None:
    is_demo = str(account["api_key"]).startswith(DEMO_KEYS)
    workspace = f"demo-{short_name(account)}" if is_demo else "WORKSPACE"
    shows = "What no webhook brought shows" if has_arrived else "A workspace that is connected to it shows it"
    provider = "chargebee" if is_site(account) else "stripe"
    typer.echo(f"{shows} after: cyphera sync {workspace} {provider} --delta")
