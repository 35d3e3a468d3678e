"""Whose account a source's rows are of: of another one, no position and no row holds."""

import logging

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.sessions import EventLevel, SessionEvent
from cyphera_pipelines.providers.base import (
    CredentialsRejectedError,
    ProviderAccount,
    ProviderError,
    ProviderUnavailableError,
    RequestAbandonedError,
)
from cyphera_pipelines.store.accounts import record_account
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.synced_accounts import SyncedAccount, read_synced_account, save_synced_account
from cyphera_pipelines.sync.context import SyncContext

_log = logging.getLogger(__name__)


def ask_for_account(context: SyncContext) -> ProviderAccount | None:
    """Return the account that the key opens, which also proves that it opens one; None if the key may not read it.

    Raises CredentialsRejectedError, ProviderUnavailableError or RequestAbandonedError.
    """
    source = context.source
    try:
        account = context.client.account()
    except (CredentialsRejectedError, ProviderUnavailableError, RequestAbandonedError):
        raise
    except ProviderError as error:
        _log.info("The account of %s cannot be read: %s", source.key, error)
        return None
    record_account(
        context.database, source.workspace_id, source.provider, account.id, account.name, livemode=context.livemode
    )
    return account


def settle_account(context: SyncContext) -> ProviderAccount | None:
    """Begin anew if the key opens another account than the one that the source was synced from last.

    Asks for the account only where everything is listed anyway, or the key is another one. Returns it, if it was asked
    for and may be read. Raises what `ask_for_account` does.
    """
    last = read_synced_account(context.database, context.source, livemode=context.livemode)
    is_same_key = last is not None and last.key_digest == context.key_digest
    if is_same_key and context.request.only_changes:
        return None
    account = ask_for_account(context)
    account_id = context.scope.account_id if account is None else account.id
    if last is not None and is_same_key and (account_id is None or last.id is not None):
        return account
    is_other = last is not None and not is_same_key and (account_id is None or account_id != last.id)
    save_synced_account(
        context.database,
        context.source,
        SyncedAccount(account_id, context.key_digest),
        livemode=context.livemode,
        forgets_positions=is_other,
    )
    if is_other:
        opened = "perhaps another account" if account_id is None else f"another account, {account_id}"
        message = (
            f"The API key opens {opened} than the one that was synced before: everything is listed anew, and rows "
            "whose objects it does not have are marked as deleted."
        )
        record_events(
            context.database,
            context.session,
            [SessionEvent("account_changed", message, level=EventLevel.WARNING, code=ErrorCode.ACCOUNT_CHANGED)],
        )
    return account
