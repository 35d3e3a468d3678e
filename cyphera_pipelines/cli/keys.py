"""`cyphera keys`: the keys that credentials are encrypted with."""

from dataclasses import asdict

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, print_error, print_json, print_table
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.store.stored_credentials import Rotation, count_by_key, reencrypt_all
from cyphera_pipelines.store.stored_values import (
    CHANNEL_ADDRESSES,
    UNSETTLED_WRITES,
    ValuesRotation,
    count_values_by_key,
    reencrypt_values,
)

app = typer.Typer(help="The keys that credentials are encrypted with.", no_args_is_help=True)

SOME_UNREADABLE = 2
LEFT_OVER = 1
_BESIDE_CREDENTIALS = {"channels": CHANNEL_ADDRESSES, "writes": UNSETTLED_WRITES}
_TITLES = {"channels": "Channels of alerts", "writes": "Writes at providers that are not settled"}


@app.command("show")
def show(as_json: bool = JSON_OPTION) -> None:
    """Show which keys there are, by their ids, and how many configurations, channels and writes depend on each.

    The writes are those at providers that are not settled yet, the channels those of alerts.
    """
    keys, database = services.keyring().newest(), services.database()
    counts = {"configurations": count_by_key(database)}
    counts |= {kind: count_values_by_key(database, values) for kind, values in _BESIDE_CREDENTIALS.items()}
    known = {key.key_id: "older" for key in keys.previous if key != keys.current}
    states = {keys.current.key_id: "newest", **known}
    for key_id in dict.fromkeys(key_id for by_key in counts.values() for key_id in by_key if key_id is not None):
        states.setdefault(key_id, "not configured")
    depend = {key_id: {kind: by_key.get(key_id, 0) for kind, by_key in counts.items()} for key_id in states}
    not_encrypted = counts["configurations"].get(None, 0)
    if as_json:
        shown = [{"key_id": key_id, "state": state, **depend[key_id]} for key_id, state in states.items()]
        print_json({"keys": shown, "not_encrypted": not_encrypted})
        return
    print_table(
        ("KEY", "STATE", *(f"{kind.upper()}#" for kind in counts)),
        [(key_id, state, *depend[key_id].values()) for key_id, state in states.items()],
        empty="",
    )
    for key_id, state in states.items():
        if state == "older" and not any(depend[key_id].values()):
            typer.echo(f"Nothing depends on key {key_id}: it can be taken away.")
        elif state == "older":
            typer.echo(
                f"Key {key_id} is still needed. {_before_rotating()} put everything under it: cyphera keys rotate"
            )
        elif state == "not configured":
            print_error(
                f"Key {key_id} is missing: what depends on it cannot be used. Add it to "
                "PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS, or enter these credentials again, and add these channels anew."
            )
    if not_encrypted:
        print_error(f"{not_encrypted} configurations hold no encrypted value: enter their credentials again.")


def _before_rotating() -> str:
    """What comes first: processes that run cannot open what is put under a key that they do not know."""
    if services.settings().is_embedded:
        return "Restart whatever runs (cyphera up, cyphera api), so that it knows the newest key; then"
    return "See that every process that runs knows the newest key (docs/backup.md says how); then"


@app.command("rotate")
def rotate(as_json: bool = JSON_OPTION) -> None:
    """Put all that is kept encrypted under the newest key, while everything else goes on.

    That is credentials, addresses of channels of alerts, and what was sent in writes that are not settled yet.

    The newest key is PAYMENT_SYNC_ENCRYPTION_KEY; the older ones, in PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS, open what
    is not yet under it. Every process that runs has to know the newest key before: it cannot open what is put under
    it otherwise. It may be broken off and repeated: what is done already is left alone.

    Exit code 0: everything is under the newest key. 2: some values do not open and were left as they are. 1: some were
    being changed by others all the time; run it again.
    """
    database, keyring = services.database(), services.keyring()
    with working("Encrypting anew"):
        rotation = reencrypt_all(database, keyring)
        beside = {kind: reencrypt_values(database, keyring, values) for kind, values in _BESIDE_CREDENTIALS.items()}
    if as_json:
        print_json({**asdict(rotation), **beside})
    else:
        _show(rotation, beside)
    if rotation.busy:
        raise typer.Exit(LEFT_OVER)
    if rotation.unreadable or any(each.unreadable for each in beside.values()):
        raise typer.Exit(SOME_UNREADABLE)


def _show(rotation: Rotation, beside: dict[str, ValuesRotation]) -> None:
    newest = services.keyring().newest().current.key_id
    typer.echo(
        f"Configurations re-encrypted with key {newest}: {rotation.reencrypted:,}. Under it already: "
        f"{rotation.already:,}."
    )
    for kind, each in beside.items():
        if each.reencrypted or each.already:
            typer.echo(f"{_TITLES[kind]}, re-encrypted: {each.reencrypted:,}. Under it already: {each.already:,}.")
        for reason in each.unreadable:
            print_error(f"Not readable, and left as it is. {reason}")
    for of_source in rotation.unreadable:
        removed = " (removed)" if of_source.is_removed else ""
        print_error(
            f"Not readable, and left as it is: {of_source.workspace} {of_source.provider}{removed}. {of_source.reason}"
        )
    if rotation.busy:
        print_error(f"Changed by others just now, or added under an older key: {rotation.busy:,}. Run it again.")
    elif not rotation.unreadable and not any(each.unreadable for each in beside.values()):
        typer.echo("Nothing depends on an older key any more. See: cyphera keys show")
