"""Everything that a running sandbox knows: its accounts, and how it behaves towards those who ask."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cyphera_pipelines.sandbox.accounts import Account
from cyphera_pipelines.sandbox.behaviour import Behaviour
from cyphera_pipelines.sandbox.change import Change
from cyphera_pipelines.sandbox.chargebee.dataset import SiteDataset
from cyphera_pipelines.sandbox.chargebee.hosted import ChargebeeSites
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.options import SandboxOptions
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.dataset import Dataset
from cyphera_pipelines.sandbox.stripe.hosted import StripeAccounts
from cyphera_pipelines.sandbox.webhooks.addresses import is_of_this_machine


class SandboxState(Behaviour):
    """The accounts of one server, beside its options, faults and counters.

    Methods that take an `account_id` raise KeyError for an unknown one. An account that is there in both modes is
    named by `acct_...` for test mode and by `acct_.../live` for live mode; a Chargebee site by its name.
    """

    def __init__(self, accounts: Iterable[Account], options: SandboxOptions | None = None) -> None:
        super().__init__(options)
        self.stripe = StripeAccounts(lambda: self.options.webhooks)
        self.chargebee = ChargebeeSites(lambda: self.options.webhooks)
        for account in accounts:
            self.put_account(account)

    @property
    def accounts(self) -> list[Account]:
        """The accounts: Stripe's, then Chargebee's, each in the order in which they were added."""
        return [*self.stripe.accounts, *self.chargebee.sites]

    def put_account(self, account: Account) -> None:
        """Add an account, or replace the one of the same id and mode with all its changes.

        Raises ValueError if one of its keys opens another account.
        """
        if isinstance(account, ChargebeeSite):
            self.chargebee.put(account)
        else:
            self.stripe.put(account)

    def remove_account(self, account_id: str, livemode: bool) -> None:
        """Remove an account, if it is there; its keys become unknown."""
        self.stripe.remove(account_id, livemode)
        self.chargebee.remove(account_id)

    def dataset(self, account_id: str) -> Dataset:
        """Return what a Stripe account holds."""
        return self.stripe.dataset(account_id)

    def site(self, site: str) -> SiteDataset:
        """Return what a Chargebee site holds. Raises KeyError for an unknown one."""
        return self.chargebee.dataset(site)

    def _of(self, account_id: str) -> Dataset | SiteDataset:
        try:
            return self.stripe.dataset(account_id)
        except KeyError:
            return self.chargebee.dataset(account_id)

    def add_webhook_endpoint(
        self, account_id: str, url: str, username: str | None = None, password: str | None = None
    ) -> str:
        """Send a Chargebee site's events to an address of this machine, with Basic auth if named; return its id.

        Stripe's endpoints are made through its API. Raises KeyError for an unknown site, ValueError for an address.
        """
        if not is_of_this_machine(url):
            raise ValueError(f"a sandbox sends to this machine only (127.0.0.1, ::1 or localhost), not to {url!r}")
        return self.chargebee.add_webhook_endpoint(account_id, url, username, password).id

    def webhook_statistics(self) -> JsonObject:
        """Return how webhooks are sent, and for each endpoint what became of what it was to get; see `Tally`."""
        return {
            "options": self.options.webhooks.model_dump(mode="json"),
            "endpoints": [*self.stripe.webhook_statistics(), *self.chargebee.webhook_statistics()],
        }

    def webhooks_not_arrived(self) -> JsonObject:
        """Return by endpoint the ids of the events that it never got: `lost` and `given_up`."""
        return self.stripe.webhooks_not_arrived() | self.chargebee.webhooks_not_arrived()

    def resend(self, account_id: str, event_id: str, endpoint_id: str | None = None) -> list[str]:
        """Send an event of an account once more, to one endpoint or to all that want it; return the endpoints' ids.

        Raises KeyError for an unknown event, and for an endpoint that does not want it.
        """
        if isinstance(self._of(account_id), SiteDataset):
            return self.chargebee.resend(account_id, event_id, endpoint_id)
        return self.stripe.resend(account_id, event_id, endpoint_id)

    def close(self) -> None:
        """End what runs in the background: webhooks that were not sent yet never will be."""
        self.stripe.close()
        self.chargebee.close()

    def warm(self, account_id: str) -> None:
        """Fill an account's cache (`cache_megabytes`), so that a benchmark does not pay for generating."""
        self._of(account_id).warm()

    def truth(self, account_id: str, collection: str) -> Iterator[JsonObject]:
        """Yield every object of a collection, whole; see `Dataset.truth`."""
        return self._of(account_id).truth(collection)

    def deleted_ids(self, account_id: str, collection: str) -> list[str]:
        """Return the ids of the deleted objects of a collection."""
        return self._of(account_id).deleted_ids(collection)

    def object(self, account_id: str, object_id: str) -> JsonObject:
        """Return one object, whole. Raises KeyError for an unknown or deleted id."""
        return self._of(account_id).object(object_id)

    def apply_changes(
        self,
        account_id: str,
        *,
        create: Mapping[str, int] | None = None,
        update: Mapping[str, int] | None = None,
        delete: Mapping[str, int] | None = None,
        at: int | None = None,
    ) -> list[Change]:
        """Create, update and delete so many objects; see `Dataset.apply_changes`."""
        return self._of(account_id).apply_changes(create, update, delete, at)

    def patch(
        self,
        account_id: str,
        object_id: str,
        patch: Mapping[str, Any] | None = None,
        *,
        remove: list[str] | None = None,
        with_event: bool = True,
        at: int | None = None,
    ) -> Change:
        """Overwrite and remove fields of one object; see `Dataset.patch`."""
        return self._of(account_id).patch(object_id, patch, remove, with_event, at)

    def poison(self, account_id: str, object_id: str, kind: str, *, with_event: bool = False) -> Change:
        """Make one object awkward; see `Dataset.poison`."""
        return self._of(account_id).poison(object_id, kind, with_event)

    def delete(self, account_id: str, object_id: str, *, at: int | None = None) -> Change:
        """Delete one object; see `Dataset.delete`."""
        return self._of(account_id).delete(object_id, at)
