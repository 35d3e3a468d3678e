"""`cyphera keys`: the keys that credentials are encrypted with."""

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, print_error, print_json, print_table
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.store.stored_credentials import Rotation, count_by_key, reencrypt_all

app = typer.Typer(help="The keys that credentials are encrypted with.", no_args_is_help=True)

SOME_UNREADABLE = 2
LEFT_OVER = 1


@app.command("show")
def show(as_json: bool = JSON_OPTION) -> None:
    """Show which keys there are, by their ids, and how many configurations depend on each."""
    keys, counts = services.keyring().newest(), count_by_key(services.database())
    known = {key.key_id: "older" for key in keys.previous if key != keys.current}
    known = {keys.current.key_id: "newest", **known}
    states = {**known, **{key_id: "not configured" for key_id in counts if key_id is not None and key_id not in known}}
    if as_json:
        print_json(
            {
                "keys": [
                    {"key_id": key_id, "state": state, "configurations": counts.get(key_id, 0)}
                    for key_id, state in states.items()
                ],
                "not_encrypted": counts.get(None, 0),
            }
        )
        return
    print_table(
        ("KEY", "STATE", "CONFIGURATIONS#"),
        [(key_id, state, counts.get(key_id, 0)) for key_id, state in states.items()],
        empty="",
    )
    for key_id, state in states.items():
        if state == "older" and not counts.get(key_id):
            typer.echo(f"Nothing depends on key {key_id}: it can be taken away.")
        elif state == "older":
            typer.echo(f"Key {key_id} is still needed. Put everything under the newest key: cyphera keys rotate")
        elif state == "not configured":
            print_error(
                f"Key {key_id} is missing: its configurations cannot be used. Add it to "
                "PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS, or enter their credentials again."
            )
    if counts.get(None):
        print_error(f"{counts[None]} configurations hold no encrypted value: enter their credentials again.")


@app.command("rotate")
def rotate(as_json: bool = JSON_OPTION) -> None:
    """Put all stored credentials under the newest key, while everything else goes on.

    The newest key is PAYMENT_SYNC_ENCRYPTION_KEY; the older ones, in PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS, open what
    is not yet under it. It may be broken off and repeated: what is done already is left alone.

    Exit code 0: everything is under the newest key. 2: some values do not open and were left as they are. 1: some were
    being changed by others all the time; run it again.
    """
    database, keyring = services.database(), services.keyring()
    with working("Encrypting anew"):
        rotation = reencrypt_all(database, keyring)
    if as_json:
        print_json(rotation)
    else:
        _show(rotation)
    if rotation.busy:
        raise typer.Exit(LEFT_OVER)
    if rotation.unreadable:
        raise typer.Exit(SOME_UNREADABLE)


def _show(rotation: Rotation) -> None:
    newest = services.keyring().newest().current.key_id
    typer.echo(
        f"Configurations re-encrypted with key {newest}: {rotation.reencrypted:,}. Under it already: "
        f"{rotation.already:,}."
    )
    for each in rotation.unreadable:
        removed = " (removed)" if each.is_removed else ""
        print_error(f"Not readable, and left as it is: {each.workspace} {each.provider}{removed}. {each.reason}")
    if rotation.busy:
        print_error(f"Changed by others just now, or added under an older key: {rotation.busy:,}. Run it again.")
    elif not rotation.unreadable:
        typer.echo("Nothing depends on an older key any more. See: cyphera keys show")
