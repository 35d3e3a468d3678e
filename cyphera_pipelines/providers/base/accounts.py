"""The account that credentials open, and whose provider events are its own."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ProviderAccount:
    """The account that a set of credentials reaches. `created` is None where the provider does not tell."""

    id: str
    name: str | None
    livemode: bool
    country: str | None = None
    default_currency: str | None = None
    created: datetime | None = None


@dataclass(frozen=True)
class AccountScope:
    """Which provider events are of a source's own account.

    `account_id` is None where only the provider can tell which account the key is of. `webhooks_name_account`: what the
    provider sends of this account names it, so that an event without a name is somebody else's.
    """

    account_id: str | None
    webhooks_name_account: bool

    def is_foreign(self, named: str | None, known_id: str | None, *, was_sent: bool) -> bool:
        """Whether an event is another account's: it names one that is not ours, or none where ours would be named.

        `known_id` is what is known of our account's id from earlier. `was_sent`: it came by itself; events that were
        asked for are our account's unless they name another one.
        """
        if named is None:
            return was_sent and self.webhooks_name_account
        return named != (self.account_id or known_id)
