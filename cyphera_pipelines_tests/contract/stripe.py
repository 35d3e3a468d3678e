"""Stripe's sandbox, for the contract."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines_tests.contract.subject import Delivery
from cyphera_pipelines_tests.webhooks import SECRET, signed

ACCOUNT = SandboxAccount(
    api_key="sk_test_contract",
    account_id="acct_contract",
    seed=17,
    customers=60,
    products=9,
    prices=25,
    subscriptions=40,
    invoices=130,
    long_invoice_share=0.05,
    large_subscription_share=0.05,
    restricted_keys={
        f"rk_test_without_{entity.value}": frozenset({entity.value.removesuffix("s")}) for entity in Entity
    },
)
SINGULAR = {entity: entity.value.removesuffix("s") for entity in Entity}


class StripeSubject:
    """See `Subject`."""

    paths = "/v1/*"

    def __init__(self, sandbox: SandboxServer) -> None:
        self.provider = find_provider("stripe")
        self.sandbox = sandbox
        self.account_id = ACCOUNT.account_id
        sandbox.state.put_account(ACCOUNT)
        self.credentials = self._with(ACCOUNT.api_key)
        self.wrong_credentials = self._with("sk_test_nobodys")

    def _with(self, api_key: str) -> Credentials:
        return Credentials(api_key=SecretStr(api_key), base_url=self.sandbox.url, webhook_secret=SecretStr(SECRET))

    def credentials_without(self, entity: Entity) -> Credentials:
        """See `Subject`."""
        return self._with(f"rk_test_without_{entity.value}")

    def ids(self, entity: Entity) -> set[str]:
        """See `Subject`."""
        return {str(obj["id"]) for obj in self.sandbox.state.truth(self.account_id, entity.value)}

    def create(self, entity: Entity) -> str:
        """See `Subject`."""
        return self._changed(create={entity.value: 1})

    def update(self, entity: Entity) -> str:
        """See `Subject`."""
        return self._changed(update={entity.value: 1})

    def delete(self, entity: Entity) -> str | None:
        """See `Subject`. A subscription is only canceled, and stays."""
        object_id = self._changed(delete={entity.value: 1})
        return None if object_id in self.ids(entity) else object_id

    def _changed(self, **what: Any) -> str:
        changes = self.sandbox.state.apply_changes(self.account_id, **what)
        return changes[-1].object_id

    def deliver(self) -> Delivery:
        """See `Subject`."""
        object_id = self.update(Entity.CUSTOMERS)
        events = self.sandbox.state.dataset(self.account_id).events
        body, headers = signed(json.dumps(events.whole(events.count - 1)).encode())
        return Delivery(body, headers, SECRET, Entity.CUSTOMERS, object_id)

    def monthly_price(self) -> str:
        """See `Subject`."""
        prices = self.sandbox.state.truth(self.account_id, "prices")
        return next(str(price["id"]) for price in prices if _is_plain(price))

    def card_of(self, customer_id: str) -> str:
        """See `Subject`."""
        key = self.credentials.api_key.get_secret_value()
        address = f"{self.sandbox.url}/v1/payment_methods/pm_card_visa/attach"
        answer = httpx.post(address, data={"customer": customer_id}, headers={"Authorization": f"Bearer {key}"})
        answer.raise_for_status()
        method_id = str(answer.json()["id"])
        default = {"invoice_settings[default_payment_method]": method_id}
        httpx.post(
            f"{self.sandbox.url}/v1/customers/{customer_id}", data=default, headers={"Authorization": f"Bearer {key}"}
        ).raise_for_status()
        return method_id

    def requests(self) -> int:
        """See `Subject`."""
        return self.sandbox.state.counters.total


def _is_plain(price: Mapping[str, Any]) -> bool:
    recurring = price.get("recurring") or {}
    is_monthly = (recurring.get("interval"), recurring.get("interval_count")) == ("month", 1)
    is_licensed = is_monthly and recurring.get("usage_type") == "licensed"
    return bool(is_licensed and price["active"] and price["unit_amount"] and price["billing_scheme"] == "per_unit")
