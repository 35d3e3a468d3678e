"""The demo's webhooks: an endpoint made at the provider, a few changes there, and when their rows are in the tables."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.sandbox_client import ask, sandbox_client
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.model.configuration import Configuration, Credentials
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding
from cyphera_pipelines.store.configurations import (
    ConfigurationChange,
    change_configuration,
    get_configuration,
    read_credentials,
)
from cyphera_pipelines.store.report import names_of_customers, newest_customers
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.webhook_endpoint import create_endpoint, webhook_url

CHANGES = 3
ARRIVES_WITHIN = 30.0
LOOK_EVERY = 0.02
MARK = " (by webhook)"


def show_webhooks(workspace: Workspace, account_id: str, sandbox_port: int) -> None:
    """Let some customers change at the provider and come by webhook; then all is as before, there and here."""
    source = find_source(services.database(), f"{workspace.slug}:stripe")
    typer.echo(
        f"4. An endpoint for webhooks of {workspace.slug} is made at the provider; {CHANGES} customers change there."
    )
    before = _without_leftovers(source)
    if before is None:
        typer.echo(f"   Left out: {source.key} has a webhook endpoint already, which stays as it is.\n")
        return
    # Takes a while to import: other commands should not wait for it.
    from cyphera_pipelines.api.in_thread import serving

    with ExitStack() as stack:
        with working("Starting the HTTP API"):
            api = stack.enter_context(serving(services.settings(), services.keyring()))
        client = stack.enter_context(sandbox_client(sandbox_port))
        endpoint_id = stack.enter_context(_endpoint(source, before, api))
        names = newest_customers(services.database(), workspace, CHANGES)
        ids = list(names)
        changed = {identifier: f"{name or 'Nobody'}{MARK}" for identifier, name in names.items()}
        told_in = _change(client, account_id, changed)
        arrived = _wait_for(lambda: names_of_customers(services.database(), workspace, ids) == changed)
        _say(client, endpoint_id, arrived)
        # Two events of one second about one object would tell nobody which of them was the last.
        _wait_for(lambda: int(time.time()) > told_in)
        _change(client, account_id, names)
        _wait_for(lambda: not _statistics(client, endpoint_id).get("waiting"))
        if arrived:
            _wait_for(lambda: names_of_customers(services.database(), workspace, ids) == names)


def _change(client: httpx.Client, account_id: str, names: Mapping[str, str | None]) -> int:
    """Give customers other names at the provider; return the second in which the last of them got it."""
    for identifier, name in names.items():
        ask(client, "POST", "/patch", {"account": account_id, "object_id": identifier, "patch": {"name": name}})
    return int(time.time())


def _say(client: httpx.Client, endpoint_id: str, arrived: bool) -> None:
    # What is in the tables may still be on its way back to the provider as an answer.
    _wait_for(lambda: not arrived or _statistics(client, endpoint_id).get("arrived", 0) >= CHANGES)
    counts = _statistics(client, endpoint_id)
    if arrived:
        median = counts["milliseconds"]["median"]
        typer.echo(
            f"   {CHANGES} changes at the provider arrived by webhook, in the tables after {median:.0f} ms (median), "
            "without a sync.\n   Then the customers are given their names back, the same way.\n"
        )
    else:
        typer.echo(
            f"   {counts.get('arrived', 0)} of {CHANGES} webhooks were taken in, and not all were in the tables after "
            f"{ARRIVES_WITHIN:.0f} s: the next sync brings what they tell.\n"
        )


def _statistics(client: httpx.Client, endpoint_id: str) -> dict[str, Any]:
    shown = ask(client, "GET", "/webhooks")["endpoints"]
    return next((each["statistics"] for each in shown if each["id"] == endpoint_id), {})


def _wait_for(condition: Callable[[], bool]) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + ARRIVES_WITHIN
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(LOOK_EVERY)
    return False


@contextmanager
def _endpoint(source: Source, before: Credentials, api: str) -> Iterator[str]:
    """An endpoint at the provider, and its secret here, until the context is left: nothing listens there afterwards."""
    database, keyring = services.database(), services.keyring()
    made = create_endpoint(database, keyring, source, webhook_url(api, source.provider, source.configuration_id))

    def as_before(_present: Configuration, _open: Callable[[], Credentials]) -> ConfigurationChange:
        return ConfigurationChange({"webhook_endpoint_url": None}, before)

    try:
        yield made.endpoint.id
    finally:
        change_configuration(database, keyring, source.workspace_id, source.configuration_id, as_before)
        endpoints = find_provider(source.provider).webhook_endpoints(before, source.connected_account_id)
        if endpoints is not None:
            endpoints.delete(made.endpoint.id)


def _without_leftovers(source: Source) -> Credentials | None:
    """The source's credentials without a secret for webhooks; None if somebody made an endpoint for it.

    A demo that was killed leaves a secret and an address behind, but no endpoint: its sandbox ended with it.
    """
    database, workspace_id = services.database(), source.workspace_id
    binding = Binding(workspace_id, source.configuration_id, source.provider)
    credentials = read_credentials(database, services.keyring(), binding)
    endpoints = find_provider(source.provider).webhook_endpoints(credentials, source.connected_account_id)
    url = get_configuration(database, workspace_id, source.configuration_id).webhook_endpoint_url
    if (credentials.webhook_secret is not None and url is None) or (endpoints is not None and endpoints.find_all()):
        return None
    return credentials.with_webhook_secret(None).without_former_secret()
