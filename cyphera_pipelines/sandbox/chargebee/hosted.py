"""The Chargebee sites of a sandbox: which key opens which, and whom their webhooks go to."""

import time
from collections.abc import Callable
from functools import partial

from cyphera_pipelines.sandbox.chargebee.dataset import SiteDataset
from cyphera_pipelines.sandbox.chargebee.errors import not_authenticated, site_not_found
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.chargebee.webhooks.endpoints import WebhookEndpoint, wait_after
from cyphera_pipelines.sandbox.chargebee.webhooks.happening import Happening
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.webhooks.options import WebhookOptions
from cyphera_pipelines.sandbox.webhooks.sending import Webhooks


class ChargebeeSites:
    """What the sites hold, by their names."""

    def __init__(self, options: Callable[[], WebhookOptions]) -> None:
        self._webhooks: Webhooks[WebhookEndpoint] = Webhooks(options, wait_after)
        self._datasets: dict[str, SiteDataset] = {}
        self._by_key: dict[str, SiteDataset] = {}

    @property
    def sites(self) -> list[ChargebeeSite]:
        """The sites, in the order in which they were added."""
        return [dataset.account for dataset in self._datasets.values()]

    def put(self, site: ChargebeeSite) -> None:
        """Add a site, or replace the one of the same name with all its changes.

        Raises ValueError if one of its keys opens another site.
        """
        for key in site.keys:
            owner = self._by_key.get(key)
            if owner is not None and owner.account.site != site.site:
                raise ValueError(f"a key of {site.site} already opens {owner.account.site}")
        self.remove(site.site)
        dataset = self._datasets[site.site] = SiteDataset(site)
        dataset.events.on_record = partial(self._tell, dataset)
        self._by_key.update(dict.fromkeys(site.keys, dataset))

    def remove(self, site: str) -> None:
        """Remove a site, if it is there; its keys become unknown."""
        removed = self._datasets.pop(site, None)
        if removed is not None:
            self._webhooks.forget(removed.webhook_endpoints.present())
        self._by_key = {key: dataset for key, dataset in self._by_key.items() if dataset is not removed}

    def dataset(self, site: str) -> SiteDataset:
        """Return what a site holds. Raises KeyError for an unknown one."""
        return self._datasets[site]

    def opened(self, api_key: str | None, site: str | None) -> SiteDataset:
        """Return the site that a key opens. `site` is the one that the request names in its host, if it names one.

        Raises ChargebeeError for an unknown site, and for a key that opens none, or another.
        """
        if site is not None and site not in self._datasets:
            raise site_not_found(site)
        found = self._by_key.get(api_key or "")
        if found is None or site not in (None, found.account.site):
            raise not_authenticated()
        return found

    def add_webhook_endpoint(
        self, site: str, url: str, username: str | None = None, password: str | None = None
    ) -> WebhookEndpoint:
        """Send a site's events to an address of this machine. Raises KeyError, ValueError."""
        dataset = self._datasets[site]
        with dataset.lock:
            return dataset.webhook_endpoints.add(url, username, password)

    def webhook_statistics(self) -> list[JsonObject]:
        """Return each endpoint with its site and what became of what it was to get; see `Tally`."""
        return [
            {"account": site, **each.as_json(), "statistics": self._webhooks.of(each)}
            for site, each in self._endpoints()
        ]

    def webhooks_not_arrived(self) -> JsonObject:
        """Return by endpoint the ids of the events that it never got: `lost` and `given_up`."""
        return {each.id: self._webhooks.ids_of(each) for _site, each in self._endpoints()}

    def resend(self, site: str, event_id: str, endpoint_id: str | None = None) -> list[str]:
        """Send an event of a site once more, to one endpoint or to all; return the endpoints' ids.

        Raises KeyError for an unknown event or endpoint.
        """
        dataset = self._datasets[site]
        with dataset.lock:
            happening = self._happening(dataset, dataset.events.get(event_id))
            wanting = [(dataset.webhook_endpoints, each) for each in dataset.webhook_endpoints.present()]
        return self._webhooks.tell_again(happening, wanting, endpoint_id)

    def close(self) -> None:
        """End what runs in the background: webhooks that were not sent yet never will be."""
        self._webhooks.close()

    def _tell(self, dataset: SiteDataset, event: JsonObject) -> None:
        endpoints = dataset.webhook_endpoints
        self._webhooks.tell(self._happening(dataset, event), [(endpoints, each) for each in endpoints.present()])

    def _happening(self, dataset: SiteDataset, event: JsonObject) -> Happening:
        return Happening(event, time.monotonic(), partial(dataset.events.shelf.note, str(event["id"])))

    def _endpoints(self) -> list[tuple[str, WebhookEndpoint]]:
        return [
            (dataset.account.site, endpoint)
            for dataset in list(self._datasets.values())
            for endpoint in dataset.webhook_endpoints.present()
        ]
