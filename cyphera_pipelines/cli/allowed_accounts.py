"""`cyphera workspace allow-account`: which accounts a workspace may read with the platform's key."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_table
from cyphera_pipelines.cli.source import ProviderArgument
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import UnusableAccessError
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.platform_key import platform_key
from cyphera_pipelines.store.platform_accounts import allow_account, disallow_account, list_allowed_accounts
from cyphera_pipelines.store.workspaces import find_workspace

AccountArgument = Annotated[
    str | None, typer.Argument(help="The account, as in acct_...; without one, the platform's own.")
]
ModeOption = Annotated[
    bool | None, typer.Option("--test-mode/--live-mode", help="The mode; by default the platform key's.")
]


def allow(
    slug: SlugArgument, provider: ProviderArgument, account: AccountArgument = None, test_mode: ModeOption = None
) -> None:
    """Let a workspace read an account that is connected to the platform, with the platform's key.

    The platform's key opens every tenant's account: make sure that this one is the workspace's. From then on the
    workspace itself can make a configuration that names the account and no key.
    """
    workspace = find_workspace(services.database(), slug)
    livemode = _livemode(provider, account, test_mode)
    allow_account(services.database(), workspace, provider, account, livemode=livemode)
    typer.echo(f"{slug} may read {_named(account)} with the platform's key, in {_mode(livemode)} mode.")
    named = "" if account is None else f" --connected-account {account}"
    typer.echo(f"Next: cyphera source add {slug} {provider} --platform-key{named}")


def disallow(
    slug: SlugArgument, provider: ProviderArgument, account: AccountArgument = None, test_mode: ModeOption = None
) -> None:
    """Take that back: a source of the workspace that uses the platform's key for this account is synced no more."""
    workspace = find_workspace(services.database(), slug)
    livemode = _livemode(provider, account, test_mode)
    disallow_account(services.database(), workspace, provider, account, livemode=livemode)
    typer.echo(f"{slug} may no longer read {_named(account)} with the platform's key, in {_mode(livemode)} mode.")


def list_all(as_json: bool = JSON_OPTION) -> None:
    """Show which accounts workspaces may read with the platform's key."""
    found = list_allowed_accounts(services.database())
    if as_json:
        print_json(found)
        return
    rows = [
        (
            each.workspace,
            each.provider_name,
            each.account_id or "the platform's own",
            _mode(each.livemode),
            each.allowed_by,
            ago(each.created_at),
        )
        for each in found
    ]
    empty = "None. Tie an account to a workspace: cyphera workspace allow-account SLUG PROVIDER ACCOUNT"
    print_table(("WORKSPACE", "PROVIDER", "ACCOUNT", "MODE", "BY", "SINCE"), rows, empty=empty)


def _livemode(provider: str, account: str | None, test_mode: bool | None) -> bool:
    """As said, or as the platform's key tells; and whether an account can be called so."""
    implementation = find_provider(provider)
    opening = Credentials(api_key=platform_key(provider, services.settings()))
    try:
        implementation.check_access(opening, account)
    except UnusableAccessError as error:
        raise InvalidInputError(str(error)) from None
    is_test = test_mode if test_mode is not None else implementation.is_test_mode(opening)
    if is_test is None:
        raise InvalidInputError("The platform's key does not tell its mode: say --test-mode or --live-mode.")
    return not is_test


def _named(account: str | None) -> str:
    return "the platform's own account" if account is None else account


def _mode(livemode: bool) -> str:
    return "live" if livemode else "test"
