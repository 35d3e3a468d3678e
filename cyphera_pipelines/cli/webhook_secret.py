"""`cyphera webhook secret`: the signing secret of a source's webhook endpoint."""

import getpass
import sys

import typer
from pydantic import SecretStr

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.source import ProviderArgument
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.errors import ConflictError, InvalidInputError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.encryption import Binding
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.store.configurations import end_former_secret, read_credentials
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.webhook_endpoint import set_webhook_secret

app = typer.Typer(
    help="The secret that a source's webhooks are signed with: entered, replaced, ended.", no_args_is_help=True
)


@app.command("set")
def set_secret(slug: SlugArgument, provider: ProviderArgument) -> None:
    """Enter the signing secret on standard input (asked for in a terminal). The address stays the same.

    A secret that was there stays valid for a day.
    """
    source = find_source(services.database(), f"{slug}:{provider}")
    _replace(source, _read_secret())


@app.command("rotate")
def rotate(slug: SlugArgument, provider: ProviderArgument) -> None:
    """Replace the signing secret by a new one from standard input; both are valid for a day.

    First roll the secret in the provider's dashboard, which tells the new one and can sign with both for a while.
    """
    source = find_source(services.database(), f"{slug}:{provider}")
    binding = Binding(source.workspace_id, source.configuration_id, source.provider)
    if read_credentials(services.database(), services.keyring(), binding).webhook_secret is None:
        raise ConflictError(
            f"{source.key} has no webhook secret to replace. Enter one: cyphera webhook secret set {slug} {provider}"
        )
    _replace(source, _read_secret())


@app.command("end-former")
def end_former(slug: SlugArgument, provider: ProviderArgument) -> None:
    """Accept only the present secret from now on: the one before it would else be valid for a day."""
    source = find_source(services.database(), f"{slug}:{provider}")
    if end_former_secret(services.database(), services.keyring(), source.workspace_id, source.configuration_id):
        typer.echo(f"Only the present webhook secret of {source.key} is accepted now.")
    else:
        typer.echo(f"{source.key} had no former webhook secret.")


def _replace(source: Source, secret: SecretStr) -> None:
    before = set_webhook_secret(services.database(), services.keyring(), source, secret)
    if before.webhook_secret is None:
        typer.echo(f"Stored the webhook secret of {source.key}.")
    elif before.webhook_secret == secret:
        typer.echo(f"{source.key} has this webhook secret already; nothing was changed.")
    else:
        typer.echo(
            f"Stored the new webhook secret of {source.key}. The one before it is accepted for a day; end it at once "
            f"with: cyphera webhook secret end-former {source.workspace_slug} {source.provider}"
        )


def _read_secret() -> SecretStr:
    secret = getpass.getpass("Webhook secret: ") if sys.stdin.isatty() else sys.stdin.readline()
    secret = secret.strip()
    if not secret:
        raise InvalidInputError("The webhook secret on standard input is empty.")
    register_secret(secret)
    return SecretStr(secret)
