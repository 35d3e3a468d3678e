"""Provider events of other accounts: whatever they tell is none of the source's business, and is not applied."""

from collections import Counter
from collections.abc import Iterable

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.sessions import EventLevel, SessionEvent
from cyphera_pipelines.providers.base import Change, WebhookEvent
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.synced_accounts import read_synced_account
from cyphera_pipelines.store.webhooks import WebhookTarget
from cyphera_pipelines.sync.context import SyncContext

MOST_NAMED = 10
UNNAMED = "(none: the platform's own)"


def refusal_of_webhook(
    database: Database, target: WebhookTarget, credentials: Credentials, event: WebhookEvent
) -> str | None:
    """Why a webhook is not to be kept: it is of another account than the configuration's; None if it is, or may be.

    Before the first sync it may not be known whose the key is: then that sync decides.
    """
    own = target.connected_account_id
    scope = find_provider(target.provider).scope(credentials, own)
    known_id = None
    if event.account is None and not scope.webhooks_name_account:
        return None
    if scope.account_id is None:
        last = read_synced_account(database, target, livemode=not target.is_test_mode)
        if last is None:
            return None
        known_id = own = last.id
    if not scope.is_foreign(event.account, known_id, was_sent=True):
        return None
    return (
        f"This event is of account {event.account or UNNAMED}; this configuration is for "
        f"{own or 'the account that its key belongs to, and no other'}. Nothing of it was kept. Send this account's "
        "events to a configuration of its own, whose connected_account_id names it, or let the endpoint listen to the "
        "configuration's account only."
    )


class ForeignEvents:
    """Keeps other accounts' events out of one sync, and says so in one session event."""

    def __init__(self, context: SyncContext) -> None:
        self._context = context
        last = read_synced_account(context.database, context.source, livemode=context.livemode)
        self._known_id = None if last is None else last.id
        self._refused: Counter[str] = Counter()

    def keep_out(self, changes: Iterable[Change], *, were_sent: bool) -> list[Change]:
        """The changes of the source's own account. `were_sent`: webhooks told them; else they were asked for."""
        own = []
        for change in changes:
            if self._context.scope.is_foreign(change.account, self._known_id, was_sent=were_sent):
                self._refused[change.account or UNNAMED] += 1
            else:
                own.append(change)
        return own

    def report(self) -> None:
        """Tell of what was kept out, if anything was."""
        if not self._refused:
            return
        total, named = self._refused.total(), dict(self._refused.most_common(MOST_NAMED))
        own = self._context.scope.account_id or self._known_id
        message = (
            f"{total} changes were not applied, because the provider events that told them are of other accounts than "
            f"the source's ({own or 'which the key may not read'}): {', '.join(named)}. If these are the accounts to "
            "sync, name one as the configuration's connected_account_id; if not, let the webhook endpoint listen to "
            "the source's account only."
        )
        details = {"changes": total, "accounts": named}
        event = SessionEvent(
            "foreign_events_refused",
            message,
            event_details=details,
            level=EventLevel.WARNING,
            code=ErrorCode.WEBHOOK_REJECTED,
        )
        record_events(self._context.database, self._context.session, [event])
