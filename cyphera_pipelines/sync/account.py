"""Whose account a source's rows are of: of another one, no position and no row holds."""

import logging

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.sessions import ConflictStrategy, EventLevel, SessionEvent
from cyphera_pipelines.providers.base import (
    CredentialsRejectedError,
    ProviderAccount,
    ProviderError,
    ProviderUnavailableError,
    RequestAbandonedError,
)
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.accounts import record_account
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.load_result import LoadResult
from cyphera_pipelines.store.synced_accounts import SyncedAccount, read_synced_account, save_synced_account
from cyphera_pipelines.store.tombstones import tombstone_unlisted
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
    if is_other and last is not None and None not in (account_id, last.id):
        _bury_what_lists_leave_out(context)
    save_synced_account(
        context.database,
        context.source,
        SyncedAccount(account_id, context.key_digest),
        livemode=context.livemode,
        forgets_positions=is_other,
    )
    if is_other:
        opened = (
            "Perhaps the API key opens another account" if account_id is None else f"The API key opens {account_id}"
        )
        message = (
            f"{opened}, and not the one that was synced before: everything is listed anew, and rows whose objects it "
            "does not have are marked as deleted."
        )
        record_events(
            context.database,
            context.session,
            [SessionEvent("account_changed", message, level=EventLevel.WARNING, code=ErrorCode.ACCOUNT_CHANGED)],
        )
    return account


def _bury_what_lists_leave_out(context: SyncContext) -> None:
    """Of the former account's rows lists of the other one prove nothing where they leave such objects out by design.

    Before the other account is noted: a process that dies in between leaves all of this to the next one.
    """
    if context.request.conflict_strategy is not ConflictStrategy.OVERWRITE:
        return
    source = context.source
    for entity, column in find_provider(source.provider).unlisted_with.items():
        with context.database.tenant(source.workspace_id) as connection:
            marked = tombstone_unlisted(connection, source, entity, column, livemode=context.livemode)
            context.check_lock(connection)
        if entity in context.request.entities:
            context.progress.loaded(entity, fetched=0, requests=0, unloaded=0, result=LoadResult(marked))
