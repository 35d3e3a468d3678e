"""`cyphera webhook`: having a provider tell by itself what changed."""

from typing import Annotated, Any

import typer

from cyphera_pipelines.cli import services, webhook_inbox, webhook_secret
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_table
from cyphera_pipelines.cli.source import ProviderArgument
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import PermissionDeniedError
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.deployed import deployed_value
from cyphera_pipelines.security.encryption import Binding
from cyphera_pipelines.settings import in_brackets
from cyphera_pipelines.store.configurations import find_active_configuration, read_credentials
from cyphera_pipelines.store.inbox import count_inbox
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines.sync.webhook_endpoint import PATH, create_endpoint, webhook_path, webhook_url

app = typer.Typer(
    help="Webhooks: what a provider tells by itself, and what became of it.",
    no_args_is_help=True,
)
app.add_typer(webhook_secret.app, name="secret")
app.command("list")(webhook_inbox.list_all)
app.command("inspect")(webhook_inbox.inspect)
app.command("replay")(webhook_inbox.replay)
app.command("unrouted")(webhook_inbox.unrouted)


@app.command("create")
def create(
    slug: SlugArgument,
    provider: ProviderArgument,
    url: Annotated[
        str | None,
        typer.Option(
            help="Where the provider reaches this API, as in https://pay.example.com; CYPHERA_PUBLIC_URL by default. "
            "The path is added."
        ),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Take --url as it is: something in between passes webhooks on.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let it take the place of endpoints with that address.")
    ] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """Make the webhook endpoint at the provider, and keep its signing secret encrypted with the source.

    It asks for just the event types that are of use, in the API version that they are read in. The source's API key
    needs the permission to write webhook endpoints for this one command; without it: cyphera webhook show.
    """
    source = find_source(services.database(), f"{slug}:{provider}")
    address = _address(url, source, is_exact=exact)
    try:
        with working(f"Asking {find_provider(provider).title}"):
            made = create_endpoint(services.database(), services.keyring(), source, address, replaces=replace)
    except PermissionDeniedError as error:
        raise InvalidInputError(f"{error} What to enter: cyphera webhook show {slug} {provider}") from None
    endpoint = made.endpoint
    if as_json:
        print_json(
            {
                "id": endpoint.id,
                "url": endpoint.url,
                "api_version": endpoint.api_version,
                "event_types": endpoint.event_types,
                "replaced": made.replaced,
                "left": dict(made.left),
            }
        )
        return
    typer.echo(
        f"Made endpoint {endpoint.id}: {find_provider(provider).title} sends {len(endpoint.event_types)} types of "
        f"events of {source.key} to {endpoint.url}. Its signing secret is stored encrypted."
    )
    for endpoint_id in made.replaced:
        typer.echo(f"Deleted endpoint {endpoint_id}, whose place it took. What it signed is accepted for a day.")
    for endpoint_id, why in made.left:
        typer.echo(f"Endpoint {endpoint_id} with the same address could not be deleted: {why}", err=True)
    typer.echo(f"Next: cyphera webhook show {slug} {provider}")


@app.command("show")
def show(slug: SlugArgument, provider: ProviderArgument, as_json: bool = JSON_OPTION) -> None:
    """Show where a source's webhooks go, what to enter at the provider by hand, and what came in last."""
    facts = _facts(slug, provider)
    if as_json:
        print_json(facts)
        return
    rows = [(name.replace("_", " "), _shown(value)) for name, value in facts.items()]
    print_table(("WEBHOOKS", f"{slug}:{provider}"), rows, empty="")
    if facts["address_to_enter"] is None:
        typer.echo(
            f"The provider needs this API's public address with the path {facts['path']}: set CYPHERA_PUBLIC_URL to "
            "that address, as in https://pay.example.com"
        )
    if not facts["secret"] and facts["path"] == f"{PATH}/{provider}":
        typer.echo(
            "The platform has no signing secret yet, so that its webhooks are refused. Make one endpoint in the "
            "provider's dashboard that listens to connected accounts, and deploy its secret"
            f"{in_brackets(services.settings().deployed_webhook_secret(provider))}."
        )
    elif not facts["secret"]:
        typer.echo(
            "No signing secret yet, so that webhooks are refused. Make the endpoint with: "
            f"cyphera webhook create {slug} {provider} --url https://...; or make it in the provider's dashboard, and "
            f"enter its secret with: cyphera webhook secret set {slug} {provider}"
        )


def _facts(slug: str, provider: str) -> dict[str, Any]:
    database = services.database()
    workspace = find_workspace(database, slug)
    configuration = find_active_configuration(database, workspace, provider)
    source = find_source(database, f"{slug}:{provider}")
    credentials = read_credentials(database, services.keyring(), Binding(workspace.id, configuration.id, provider))
    endpoints = find_provider(provider).webhook_endpoints(credentials, source.connected_account_id)
    counts = count_inbox(database, source)
    former = credentials.former_webhook_secret_until if len(credentials.valid_webhook_secrets()) > 1 else None
    of_platform = credentials.uses_platform_key
    path = f"{PATH}/{provider}" if of_platform else webhook_path(provider, configuration.id)
    base = services.settings().public_url
    return {
        "address_to_enter": None if base is None else f"{base}{path}",
        "path": path,
        "listens_to": "the platform's connected accounts, for all sources" if of_platform else "its own account",
        "entered_address": configuration.webhook_endpoint_url,
        "event_types": endpoints.event_types if endpoints else (),
        "api_version": endpoints.api_version if endpoints else None,
        "secret": _is_platform_secret_deployed(provider) if of_platform else credentials.webhook_secret is not None,
        "former_secret_valid_until": former,
        "last_received": configuration.last_webhook_at,
        "last_applied": counts.last_applied_at,
        "last_failure": counts.last_error,
        "last_failure_code": counts.error_code,
        "last_refused": configuration.last_webhook_refused_at,
        "last_refusal": configuration.last_webhook_refusal,
        "applied_at_once": counts.applied_at_once,
        "applied_by_syncs": counts.applied_by_sync,
        "waiting": counts.waiting,
        "failed": counts.failed,
        "given_up": counts.dead,
        "unreadable": counts.unreadable,
        "oldest_not_applied": counts.oldest_unapplied_at,
    }


def _is_platform_secret_deployed(provider: str) -> bool:
    place = services.settings().deployed_webhook_secret(provider)
    return place is not None and deployed_value(place) is not None


def _address(url: str | None, source: Source, *, is_exact: bool) -> str:
    base = url or services.settings().public_url
    if base is None:
        raise InvalidInputError(
            "Where does the provider reach this API? Give --url https://..., or set CYPHERA_PUBLIC_URL."
        )
    whole = webhook_url(base, source.provider, source.configuration_id)
    return base.strip() if is_exact else whole


def _shown(value: Any) -> object:
    if hasattr(value, "astimezone"):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC ({ago(value)})"
    if isinstance(value, tuple):
        return ", ".join(value) or None
    return value
