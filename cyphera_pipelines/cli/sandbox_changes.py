"""`cyphera sandbox change`: something happens at the provider, so that the next sync of changes shows something."""

from typing import Annotated, Any

import httpx
import typer

from cyphera_pipelines.cli.output import print_table
from cyphera_pipelines.cli.sandbox_port import DEFAULT_PORT
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import CypheraError, InvalidInputError

ANSWERED_WITHIN = 60.0
MOST_SHOWN = 30
DEMO_KEYS = "sk_test_cyphera_demo_"
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
            help="Which account: what its key ends in, as in `acme` (the first) or `globex`, or its id.",
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

    Without options a little of everything happens. A sync of changes then shows it:

        cyphera sandbox change acme --create customers=3 --update invoices=10 --delete subscriptions=1

        cyphera sync demo-acme stripe --delta
    """
    wanted = {"create": _counts(create), "update": _counts(update), "delete": _counts(delete)}
    if not any(wanted.values()):
        wanted = A_LITTLE_OF_EVERYTHING
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/_sandbox", timeout=ANSWERED_WITHIN, trust_env=False) as client:
        chosen = _find(account, _ask(client, "GET", "/accounts"))
        place = chosen["account_id"] + ("/live" if chosen["api_key"].startswith(("sk_live_", "rk_live_")) else "")
        changes = _ask(client, "POST", "/changes", {"account": place, **wanted})
    _show(chosen, changes)


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


def _ask(client: httpx.Client, method: str, path: str, body: object = None) -> Any:
    address = f"http://127.0.0.1:{client.base_url.port}"
    try:
        response = client.request(method, path, json=body)
        answer = response.json()
    except httpx.ConnectError:
        raise CypheraError(
            f"No sandbox answers at {address}. Start one with: cyphera sandbox, or: cyphera up --sandbox. Name another "
            "port with --port."
        ) from None
    except (httpx.HTTPError, ValueError):
        raise CypheraError(f"What answers at {address} is not a sandbox, or does not answer as one.") from None
    if not response.is_success:
        reason = answer.get("error") if isinstance(answer, dict) else None
        raise CypheraError(f"The sandbox at {address} refused: {reason or response.status_code}.")
    return answer


def _find(wanted: str | None, accounts: list[dict[str, Any]]) -> dict[str, Any]:
    """The account of that id or whose key ends so; the first one for None. Raises InvalidInputError."""
    for account in accounts:
        if wanted is None or wanted == account["account_id"] or _short_name(account) == wanted:
            return account
    known = ", ".join(f"{_short_name(account)} ({account['account_id']})" for account in accounts)
    raise InvalidInputError(f"The sandbox has no account {wanted or ''}: {known or 'it has none at all'}.")


def _short_name(account: dict[str, Any]) -> str:
    """What its key ends in: `acme` of `sk_test_cyphera_demo_acme`."""
    return str(account["api_key"]).rpartition("_")[2]


def _show(account: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    typer.echo(f"What happened in {account['name']} ({account['account_id']}), each with a provider event:\n")
    rows = [(each["object_id"], each["event_type"]) for each in changes]
    print_table(("OBJECT", "EVENT"), rows[:MOST_SHOWN], empty="Nothing: there was nothing of the kind to change.")
    if len(rows) > MOST_SHOWN:
        typer.echo(f"... and {len(rows) - MOST_SHOWN} more.")
    is_demo = str(account["api_key"]).startswith(DEMO_KEYS)
    workspace = f"demo-{_short_name(account)}" if is_demo else "WORKSPACE"
    typer.echo(f"\nA workspace that is connected to it shows it after: cyphera sync {workspace} stripe --delta")
