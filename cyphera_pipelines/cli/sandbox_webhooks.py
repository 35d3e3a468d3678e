"""`cyphera sandbox webhooks`: what became of them, and how they are to go wrong from now on."""

import os
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import typer

from cyphera_pipelines.cli.output import JSON_OPTION, print_json, print_table
from cyphera_pipelines.cli.sandbox_client import ask, find_account, is_site, place_of, sandbox_client, short_name
from cyphera_pipelines.cli.sandbox_port import DEFAULT_PORT
from cyphera_pipelines.model.errors import InvalidInputError

Ask = Callable[..., Any]
NAMES = (
    "lost", "doubled", "delayed", "delay_seconds", "reordered", "reordered_by", "seed", "rate", "at_once",
    "most_waiting", "timeout_seconds", "retry_seconds", "longest_retry_seconds", "tries",
)  # fmt: skip
"""The options' names, which the help tells: they themselves take a while to import."""
_NAMES = ", ".join(NAMES)
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--webhooks",
        metavar="NAME=VALUE",
        help="How webhooks go wrong, as in lost=0.1 doubled=0.5 reordered=1 (shares from 0 to 1), delayed=0.2 with "
        f"delay_seconds=3, or rate=20 (a second). May be given several times. All names: {_NAMES}.",
    ),
]


def webhooks(
    change: SetOption = None,
    resend: Annotated[
        str | None,
        typer.Option(help="The id of an event of ACCOUNT to send once more, to all endpoints that want it."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Send what happens in ACCOUNT to this address of this machine, if it is a Chargebee site: those have "
            "no API for endpoints, which Stripe's accounts have.",
        ),
    ] = None,
    secret_env: Annotated[
        str | None,
        typer.Option(metavar="VAR", help="With --to: the environment variable that holds `user:password`, to be sent."),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(help="With --resend or --to: what the account's key ends in, as in `acme`, or its id."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the sandbox listens on 127.0.0.1.")] = DEFAULT_PORT,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what became of a running sandbox's webhooks; let them go wrong, or right again; send one once more.

    cyphera sandbox webhooks --webhooks lost=0.1 --webhooks doubled=0.5

    cyphera sandbox webhooks --webhooks lost=0 --webhooks doubled=0

    cyphera sandbox webhooks --resend evt_1 --account acme

    cyphera sandbox webhooks --account initech --to http://127.0.0.1:8000/... --secret-env CHARGEBEE_WEBHOOK_SECRET
    """
    changes = read_webhook_options(change)
    with sandbox_client(port) as client:
        if changes:
            ask(client, "PATCH", "/webhooks", changes)
        if to is not None:
            _add_endpoint(client, find_account(account, ask(client, "GET", "/accounts")), to, secret_env)
        if resend is not None:
            chosen = find_account(account, ask(client, "GET", "/accounts"))
            body = {"account": place_of(chosen), "event_id": resend}
            sent_to = ask(client, "POST", "/webhooks/resend", body)["endpoints"]
            if not as_json:
                wanting = f"{len(sent_to)} endpoint{'' if len(sent_to) == 1 else 's'}"
                typer.echo(f"{resend} is sent to {wanting}." if sent_to else f"No endpoint wants {resend}.")
        shown = ask(client, "GET", "/webhooks")
    if as_json:
        print_json(shown)
        return
    show_endpoints(shown["endpoints"])
    from cyphera_pipelines.sandbox import WebhookOptions

    defaults = WebhookOptions().model_dump(mode="json")
    odd = [f"{name}={value}" for name, value in shown["options"].items() if value != defaults[name]]
    typer.echo(f"\nWebhooks go with {', '.join(odd)}." if odd else "\nNothing is let go wrong.")


def _add_endpoint(client: httpx.Client, chosen: dict[str, Any], url: str, secret_env: str | None) -> None:
    if not is_site(chosen):
        raise InvalidInputError(
            f"{short_name(chosen)} is a Stripe account: make its endpoint through its API, with: "
            "cyphera webhook create WORKSPACE stripe --url URL."
        )
    username, _, password = (os.environ.get(secret_env, "") if secret_env else "").partition(":")
    if secret_env and not password:
        raise InvalidInputError(f"The environment variable {secret_env} does not hold `user:password`.")
    body = {"account": place_of(chosen), "url": url, "username": username or None, "password": password or None}
    ask(client, "POST", "/webhooks/endpoints", body)


def read_webhook_options(given: list[str] | None) -> dict[str, Any]:
    """`["lost=0.1"]` as `{"lost": 0.1}`. Raises InvalidInputError."""
    named: dict[str, str | None] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if name not in NAMES or not equals:
            raise InvalidInputError(f"{text!r} does not say how webhooks go: write, say, lost=0.1. Names: {_NAMES}.")
        named[name] = None if value == "none" else value
    from pydantic import ValidationError

    from cyphera_pipelines.sandbox import WebhookOptions

    try:
        return WebhookOptions.model_validate(named).model_dump(mode="json", include=set(named))
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InvalidInputError(f"{wrong['loc'][0]}={wrong['input']}: {wrong['msg']}.") from None


def show_endpoints(endpoints: list[dict[str, Any]]) -> None:
    """Print what became of what each endpoint was to get."""
    columns = (
        "ENDPOINT",
        "ACCOUNT",
        "STATUS",
        "EVENTS#",
        "TRIES#",
        "ARRIVED#",
        "WAITING#",
        "LOST#",
        "GIVEN UP#",
        "MS#",
    )
    rows: list[tuple[object, ...]] = []
    for each in endpoints:
        counts = each["statistics"]
        numbers = [counts.get(name, 0) for name in ("happened", "sent", "arrived", "waiting", "lost", "given_up")]
        median = counts.get("milliseconds", {}).get("median")
        rows.append((each["url"], each["account"], each["status"], *numbers, median))
    make_one = "cyphera webhook create WORKSPACE stripe --url http://127.0.0.1:8000"
    print_table(columns, rows, empty=f"There is no webhook endpoint. Make one with: {make_one}")
    for each in endpoints:
        if failure := each["statistics"].get("last_failure"):
            typer.echo(f"{each['url']}: {failure}")
