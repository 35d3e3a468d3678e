"""Whose data a key reads: its own account's, a connected account's, or one of its organization's.

A platform's key names a connected account in the header `Stripe-Account`, an organization's key one of its accounts in
`Stripe-Context`: `acct_...`, or `acct_.../acct_...` for one that is connected to it.
"""

import re
from collections.abc import Mapping
from typing import Any

import stripe

from cyphera_pipelines.providers.base import AccountScope, UnusableAccessError
from cyphera_pipelines.providers.stripe.keys import is_organization_key

_ACCOUNT = re.compile(r"acct_\w{1,250}", re.ASCII)
_PATH = re.compile(rf"{_ACCOUNT.pattern}(?:/{_ACCOUNT.pattern})?", re.ASCII)
MOST_NAMED = 255
"""Characters of an account's id: no account has a longer one."""
_KEY, _CONNECTED = "configuration.api_key", "connected_account_id"


def check_access(api_key: str, connected_account_id: str | None) -> None:
    """See `Provider`."""
    if api_key.startswith("pk_"):
        raise UnusableAccessError(
            _KEY, "This is a publishable key, which may read nothing.", "Give a secret or restricted key."
        )
    if is_organization_key(api_key):
        if connected_account_id is None:
            raise UnusableAccessError(
                _CONNECTED,
                "The API key is an organization's (sk_org_...), which belongs to no account.",
                "Name the account to read in connected_account_id, as acct_... (or acct_.../acct_... for one that is "
                "connected to it), or give a key of the account itself.",
            )
        if not _PATH.fullmatch(connected_account_id):
            raise UnusableAccessError(
                _CONNECTED,
                "connected_account_id is no account of an organization.",
                "Give it as acct_..., or as acct_.../acct_... for an account that is connected to one of its accounts.",
            )
    elif connected_account_id is not None and not _ACCOUNT.fullmatch(connected_account_id):
        raise UnusableAccessError(
            _CONNECTED,
            "connected_account_id is not the id of an account at Stripe.",
            "Give it as acct_..., or leave it out to read the account that the key belongs to.",
        )


def account_options(api_key: str, connected_account_id: str | None) -> stripe.RequestOptions:
    """The `stripe` package's request options that name the key and the account. Raises UnusableAccessError."""
    check_access(api_key, connected_account_id)
    if connected_account_id is None:
        return {"api_key": api_key}
    if is_organization_key(api_key):
        return {"api_key": api_key, "stripe_context": connected_account_id}
    return {"api_key": api_key, "stripe_account": connected_account_id}


def own_account_id(connected_account_id: str | None) -> str | None:
    """The id of the account whose objects are read for that connected account; None if only the key tells."""
    return None if connected_account_id is None else connected_account_id.rpartition("/")[2]


def scope(api_key: str, connected_account_id: str | None) -> AccountScope:
    """See `Provider`. What a platform is told of connected accounts names them; what it is told of itself does not.

    An account of an organization may also have an endpoint of its own, whose events name nobody.
    """
    if connected_account_id is None:
        return AccountScope(None, webhooks_name_account=False)
    is_connected = not is_organization_key(api_key) or "/" in connected_account_id
    return AccountScope(own_account_id(connected_account_id), webhooks_name_account=is_connected)


def account_of_event(event: Mapping[str, Any]) -> str | None:
    """The account that a provider event names; None if it names none. Whatever is no text is nobody's id.

    `account` is told to platforms, `context` to organizations too: the way to the account, which is its last part.
    """
    for name in ("account", "context"):
        value = event.get(name)
        if value is not None:
            return value.rpartition("/")[2][:MOST_NAMED] if isinstance(value, str) else f"({type(value).__name__})"
    return None
