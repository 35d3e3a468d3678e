"""`cyphera source update`: new credentials, rates and names for a source that is there."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, print_json
from cyphera_pipelines.cli.source import (
    OptionOption,
    ProviderArgument,
    read_api_key,
    read_options,
    read_secret_variable,
)
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.configuration import Configuration, Credentials
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.configurations import ConfigurationChange, change_configuration, find_active_configuration
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines.sync.configuration import OtherModeError, change_credentials


def update(
    slug: SlugArgument,
    provider: ProviderArgument,
    api_key_stdin: Annotated[
        bool, typer.Option("--api-key-stdin", help="Read a new API key from standard input (asked for in a terminal).")
    ] = False,
    webhook_secret_env: Annotated[
        str | None,
        typer.Option(metavar="VAR", help="Name of the environment variable that holds the new webhook secret."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.0, help="Requests per second, in all and per endpoint; 0: the provider's published limits."),
    ] = None,
    label: Annotated[str | None, typer.Option(help='What people call the source; "" forgets it.')] = None,
    option: OptionOption = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Change what is given of a source, and nothing else. A sync that runs goes on with what it began with."""
    implementation = find_provider(provider)
    workspace = find_workspace(services.database(), slug)
    found = find_active_configuration(services.database(), workspace, provider)
    given = dict[str, Any]()
    if api_key_stdin:
        given["api_key"] = SecretStr(read_api_key(from_stdin=True))
    if webhook_secret_env is not None:
        given["webhook_secret"] = read_secret_variable(webhook_secret_env)
    if option:
        given["options"] = read_options(option)
    if not given and rate is None and label is None:
        raise InvalidInputError(
            "Nothing to change: give --api-key-stdin, --webhook-secret-env VAR, --option NAME=VALUE, --rate N or "
            "--label TEXT."
        )

    def decide(present: Configuration, read_credentials: Callable[[], Credentials]) -> ConfigurationChange:
        columns: dict[str, Any] = {}
        if label is not None:
            columns["label"] = label.strip() or None
        if rate is not None:
            columns["metadata"] = with_rate(present.metadata, rate)
        if not given:
            return ConfigurationChange(columns)
        credentials = change_credentials(
            implementation,
            read_credentials,
            given,
            connected_account_id=present.connected_account_id,
            is_test_mode=present.is_test_mode,
            settings=services.settings(),
        )
        return ConfigurationChange(columns, credentials)

    try:
        changed = change_configuration(services.database(), services.keyring(), workspace.id, found.id, decide)
    except OtherModeError as error:
        raise InvalidInputError(
            f"This is a {error.key} mode key, but {slug}:{provider} is a source in {error.wanted} mode. Give a "
            f"{error.wanted} mode key, or connect the {error.key} account instead: cyphera source remove {slug} "
            f"{provider}, then cyphera source add {slug} {provider} --api-key-stdin"
        ) from None
    if as_json:
        print_json(changed)
        return
    typer.echo(f"Changed source {slug}:{provider}.")
    if given:
        typer.echo(f"Next: cyphera source test {slug} {provider}")


def with_rate(metadata: dict[str, Any], rate: float) -> dict[str, Any]:
    """The configuration's metadata with that rate; 0 is the provider's own limits."""
    others = {name: value for name, value in metadata.items() if name != "rate_limits"}
    return others | ({"rate_limits": {"account": rate, "endpoint": rate}} if rate else {})
