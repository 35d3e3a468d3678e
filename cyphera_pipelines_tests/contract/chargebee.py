"""Chargebee's sandbox, for the contract."""

import base64
import json
from typing import Any

import httpx
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.chargebee.resources import RESOURCES
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.sandbox import ChargebeeSite, SandboxServer
from cyphera_pipelines_tests.contract.subject import Delivery

SECRET = "chargebee:a password of the contract"
SITE = ChargebeeSite(
    site="contract-test",
    api_key="test_contract",
    name="Contract",
    seed=17,
    customers=60,
    products=9,
    prices=25,
    subscriptions=40,
    invoices=130,
    long_invoice_share=0.05,
    restricted_keys={
        f"test_contract_without_{entity.value}": frozenset({resource.plural}) for entity, resource in RESOURCES.items()
    },
)


class ChargebeeSubject:
    """See `Subject`."""

    paths = "/api/v2/*"

    def __init__(self, sandbox: SandboxServer) -> None:
        self.provider = find_provider("chargebee")
        self.sandbox = sandbox
        self.account_id = SITE.site
        sandbox.state.put_account(SITE)
        self.credentials = self._with(SITE.api_key)
        self.wrong_credentials = self._with("test_nobodys")

    def _with(self, api_key: str) -> Credentials:
        return Credentials(
            api_key=SecretStr(api_key),
            base_url=self.sandbox.url,
            webhook_secret=SecretStr(SECRET),
            options={"site": SITE.site},
        )

    def credentials_without(self, entity: Entity) -> Credentials:
        """See `Subject`."""
        return self._with(f"test_contract_without_{entity.value}")

    def ids(self, entity: Entity) -> set[str]:
        """See `Subject`."""
        return {str(obj["id"]) for obj in self.sandbox.state.truth(self.account_id, entity.value)}

    def create(self, entity: Entity) -> str:
        """See `Subject`."""
        return self._changed(entity, create={entity.value: 1})

    def update(self, entity: Entity) -> str:
        """See `Subject`."""
        return self._changed(entity, update={entity.value: 1})

    def delete(self, entity: Entity) -> str | None:
        """See `Subject`. A subscription is only cancelled, and stays; so does an invoice that is voided instead."""
        object_id = self._changed(entity, delete={entity.value: 1})
        return None if object_id in self.ids(entity) else object_id

    def _changed(self, entity: Entity, **what: Any) -> str:
        changes = self.sandbox.state.apply_changes(self.account_id, **what)
        of_entity = [change for change in changes if change.collection == RESOURCES[entity].plural]
        return of_entity[-1].object_id

    def deliver(self) -> Delivery:
        """See `Subject`."""
        object_id = self.update(Entity.CUSTOMERS)
        event = next(iter(self.sandbox.state.truth(self.account_id, "events")))
        headers = {"Authorization": f"Basic {base64.b64encode(SECRET.encode()).decode()}"}
        return Delivery(json.dumps(event).encode(), headers, SECRET, Entity.CUSTOMERS, object_id)

    def monthly_price(self) -> str:
        """See `Subject`."""
        return next(
            str(price["id"])
            for price in self.sandbox.state.truth(self.account_id, "prices")
            if price["pricing_model"] == "per_unit"
            and (price["item_type"], price["status"], price["currency_code"]) == ("plan", "active", "USD")
            and (price.get("period"), price.get("period_unit")) == (1, "month")
        )

    def card_of(self, customer_id: str) -> str:
        """See `Subject`."""
        card = {"customer_id": customer_id, "card[number]": "4111111111111111", "card[expiry_year]": "2040"}
        answer = httpx.post(
            f"{self.sandbox.url}/api/v2/payment_sources/create_card",
            data={**card, "card[expiry_month]": "12", "card[cvv]": "100"},
            auth=(SITE.api_key, ""),
        )
        answer.raise_for_status()
        return str(answer.json()["payment_source"]["id"])

    def requests(self) -> int:
        """See `Subject`."""
        return self.sandbox.state.counters.total
