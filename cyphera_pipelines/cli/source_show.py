"""`cyphera source show`: all that is known of one source."""

from typing import Any

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_table, with_code
from cyphera_pipelines.cli.source import ProviderArgument
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.configuration import Configuration, Credentials
from cyphera_pipelines.security.encryption import Binding, DecryptionError
from cyphera_pipelines.security.platform_key import NoPlatformKeyError
from cyphera_pipelines.store.accounts import find_reached_account
from cyphera_pipelines.store.configurations import find_active_configuration, read_credentials
from cyphera_pipelines.store.freshness import freshness_of_workspace
from cyphera_pipelines.store.missing import list_missing
from cyphera_pipelines.store.platform_accounts import AccountNotAllowedError
from cyphera_pipelines.store.sources import find_source, find_source_state
from cyphera_pipelines.store.webhooks import count_waiting
from cyphera_pipelines.store.workspaces import find_workspace

_MOMENTS = (
    "fresh_as_of",
    "last_checked",
    "last_complete_sync",
    "last_webhook",
    "last_webhook_refused",
    "created",
    "changed",
)


def show(slug: SlugArgument, provider: ProviderArgument, as_json: bool = JSON_OPTION) -> None:
    """Show a source: its account, key, webhooks, freshness and what is missing. No secret is shown."""
    facts = _facts(slug, provider)
    if as_json:
        print_json(facts)
        return
    print_table(("SOURCE", f"{slug}:{provider}"), [_row(name, value) for name, value in facts.items()], empty="")


def _facts(slug: str, provider: str) -> dict[str, Any]:
    database = services.database()
    workspace = find_workspace(database, slug)
    configuration = find_active_configuration(database, workspace, provider)
    source, state = find_source(database, f"{slug}:{provider}"), find_source_state(database, f"{slug}:{provider}")
    fresh = freshness_of_workspace(database, workspace.id).get(provider)
    account = find_reached_account(database, source)
    credentials = _credentials(configuration)
    missing = list_missing(database, workspace.id, provider, livemode=not source.is_test_mode)
    return {
        "label": configuration.label,
        "id": configuration.id,
        "mode": "test" if source.is_test_mode else "live",
        "account": account.id if account else None,
        "account_name": account.name if account else None,
        "connected_account": source.connected_account_id,
        "key": credentials.key_ending() if credentials else "does not open: see cyphera source update",
        "base_url": credentials.base_url if credentials else None,
        "options": credentials.options if credentials else {},
        "raw_objects_kept": source.store_raw,
        "requests_per_second": source.rate_limits.account if source.rate_limits else None,
        "schedule": None if fresh is None else str(fresh.schedule),
        "state": None if fresh is None else fresh.state.value.replace("_", " "),
        "fresh_as_of": None if fresh is None else fresh.fresh_at,
        "last_checked": None if fresh is None else fresh.checked_at,
        "next_due": None if fresh is None else fresh.next_due_at,
        "next_listing_due": None if fresh is None else fresh.next_listing_due_at,
        "failing": None if fresh is None or fresh.last_failure is None else with_code(fresh.sentence, fresh.code),
        "paused": None if fresh is None else fresh.pause,
        "last_complete_sync": state.last_sync_at,
        "last_session": state.last_status,
        "missing": [each.described() for each in missing],
        "webhook_path": f"/api/v1/sync/webhooks/{provider}/{configuration.id}",
        "webhook_address": configuration.webhook_endpoint_url,
        "webhook_secret": bool(credentials and credentials.webhook_secret),
        "webhooks_waiting": count_waiting(database, source),
        "last_webhook": configuration.last_webhook_at,
        "last_webhook_refused": configuration.last_webhook_refused_at,
        "last_webhook_refusal": configuration.last_webhook_refusal,
        "created": configuration.created_at,
        "changed": configuration.updated_at,
    }


def _credentials(configuration: Configuration) -> Credentials | None:
    """The credentials; None if they do not open, or are the platform's and of no use: told, and hides nothing else."""
    binding = Binding(configuration.workspace_id, configuration.id, configuration.provider_name)
    try:
        return read_credentials(services.database(), services.keyring(), binding)
    except (DecryptionError, AccountNotAllowedError, NoPlatformKeyError) as error:
        typer.echo(str(error), err=True)
        return None


def _row(name: str, value: Any) -> tuple[str, object]:
    words = name.replace("_", " ")
    if name in ("next_due", "next_listing_due") and value is not None:
        return words, f"{value:%Y-%m-%d %H:%M} UTC"
    if name in (
        "fresh_as_of",
        "last_checked",
        "last_complete_sync",
        "last_webhook",
        "last_webhook_refused",
        "created",
        "changed",
    ):
        return words, ago(value)
    if isinstance(value, dict):
        return words, ", ".join(f"{key}={each}" for key, each in value.items()) or None
    if isinstance(value, list):
        return words, "\n".join(value) or None
    return words, value
