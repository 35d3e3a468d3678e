"""The Stripe accounts of a sandbox: which key opens which, and whom their webhooks go to."""

import time
from collections.abc import Callable
from functools import partial

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.accounts import SandboxAccount
from cyphera_pipelines.sandbox.stripe.dataset import Dataset
from cyphera_pipelines.sandbox.stripe.errors import account_not_open, no_context
from cyphera_pipelines.sandbox.stripe.webhooks.endpoints import WebhookEndpoint, WebhookEndpoints
from cyphera_pipelines.sandbox.stripe.webhooks.happening import Happening, wanting_endpoints
from cyphera_pipelines.sandbox.webhooks.options import WebhookOptions
from cyphera_pipelines.sandbox.webhooks.sending import Webhooks


class StripeAccounts:
    """What the accounts hold.

    An account that is there in both modes is named `acct_...` in test mode and `acct_.../live` in live mode.
    """

    def __init__(self, options: Callable[[], WebhookOptions]) -> None:
        self._webhooks: Webhooks[WebhookEndpoint] = Webhooks(options)
        self._datasets: dict[tuple[str, bool], Dataset] = {}
        self._by_key: dict[str, Dataset] = {}
        self._by_organization_key: dict[str, dict[str, Dataset]] = {}

    @property
    def accounts(self) -> list[SandboxAccount]:
        """The accounts, in the order in which they were added."""
        return [dataset.account for dataset in self._datasets.values()]

    def put(self, account: SandboxAccount) -> None:
        """Add an account, or replace the one of the same id and mode with all its changes.

        Raises ValueError if one of its keys opens another account.
        """
        place = (account.account_id, account.livemode)
        for key in account.keys:
            owner = self._by_key.get(key)
            if owner is not None and (owner.account.account_id, owner.account.livemode) != place:
                raise ValueError(f"a key of {account.account_id} already opens {owner.account.account_id}")
        self.remove(*place)
        dataset = self._datasets[place] = Dataset(account)
        dataset.events.on_record = partial(self._tell, dataset)
        self._by_key.update(dict.fromkeys(account.keys, dataset))
        context = account.account_id if account.platform is None else f"{account.platform}/{account.account_id}"
        for key in account.organization_keys:
            self._by_organization_key.setdefault(key, {})[context] = dataset

    def remove(self, account_id: str, livemode: bool) -> None:
        """Remove an account, if it is there; its keys become unknown."""
        removed = self._datasets.pop((account_id, livemode), None)
        if removed is not None:
            self._webhooks.forget(removed.webhook_endpoints.present())
        self._by_key = {key: dataset for key, dataset in self._by_key.items() if dataset is not removed}
        for contexts in self._by_organization_key.values():
            for context in [context for context, dataset in contexts.items() if dataset is removed]:
                del contexts[context]

    def dataset(self, account_id: str) -> Dataset:
        """Return what an account holds. Raises KeyError for an unknown one."""
        bare, _, mode = account_id.partition("/")
        modes = (True,) if mode == "live" else (False, True)
        for livemode in modes:
            found = self._datasets.get((bare, livemode))
            if found is not None:
                return found
        raise KeyError(account_id)

    def opened(self, api_key: str, account: str | None, context: str | None) -> Dataset | None:
        """Return what a request may read: its key's account, or the one that its headers name.

        `account` is the value of `Stripe-Account`, `context` that of `Stripe-Context`. None for an unknown key. Raises
        ProviderError for an account that the key does not open.
        """
        of_organization = self._by_organization_key.get(api_key)
        if of_organization is not None:
            if context is None:
                raise no_context()
            if context not in of_organization:
                raise account_not_open(api_key, context)
            return of_organization[context]
        own, wanted = self._by_key.get(api_key), account or context
        if own is None or wanted is None or wanted == own.account.account_id:
            return own
        connected = self._datasets.get((wanted, own.account.livemode))
        if connected is None or connected.account.platform != own.account.account_id:
            raise account_not_open(api_key, wanted)
        return connected

    def webhook_statistics(self) -> list[JsonObject]:
        """Return each endpoint with its account's id and what became of what it was to get; see `Tally`."""
        return [
            {"account": account_id, **each.as_json(), "statistics": self._webhooks.of(each)}
            for account_id, each in self._endpoints()
        ]

    def webhooks_not_arrived(self) -> JsonObject:
        """Return by endpoint the ids of the events that it never got: `lost` and `given_up`."""
        return {each.id: self._webhooks.ids_of(each) for _account_id, each in self._endpoints()}

    def resend(self, account_id: str, event_id: str, endpoint_id: str | None = None) -> list[str]:
        """Send an event of an account once more, to one endpoint or to all that want it; return the endpoints' ids.

        Raises KeyError for an unknown event, and for an endpoint that does not want it.
        """
        dataset = self.dataset(account_id)
        with dataset.lock:
            number = dataset.events.number_of(event_id)
            if number is None:
                raise KeyError(event_id)
            event, snapshot = dataset.events.whole(number), dataset.events.snapshot(number)
        happening = Happening(dataset.account, event, snapshot, time.monotonic())
        return self._webhooks.tell_again(happening, wanting_endpoints(happening, self._told_of(dataset)), endpoint_id)

    def close(self) -> None:
        """End what runs in the background: webhooks that were not sent yet never will be."""
        self._webhooks.close()

    def _tell(self, dataset: Dataset, event: JsonObject, snapshot: JsonObject) -> None:
        happening = Happening(dataset.account, event, snapshot, time.monotonic())
        self._webhooks.tell(happening, wanting_endpoints(happening, self._told_of(dataset)))

    def _told_of(self, dataset: Dataset) -> list[WebhookEndpoints]:
        """The endpoints of an account, then those of its platform."""
        account = dataset.account
        platform = self._datasets.get((account.platform or "", account.livemode))
        return [each.webhook_endpoints for each in (dataset, platform) if each is not None]

    def _endpoints(self) -> list[tuple[str, WebhookEndpoint]]:
        """All that are there, each with its account's id."""
        return [
            (dataset.account.account_id, endpoint)
            for dataset in list(self._datasets.values())
            for endpoint in dataset.webhook_endpoints.present()
        ]
