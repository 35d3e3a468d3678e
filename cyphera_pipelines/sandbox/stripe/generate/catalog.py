"""The generators of one account behind one face: collection and number in, object out."""

from typing import Any

from cyphera_pipelines.sandbox.business.bills import Bills
from cyphera_pipelines.sandbox.business.discounts import coupons
from cyphera_pipelines.sandbox.business.people import contact
from cyphera_pipelines.sandbox.business.subscriptions import Subscriptions
from cyphera_pipelines.sandbox.business.timeline import DAY
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.accounts import SandboxAccount
from cyphera_pipelines.sandbox.stripe.generate.customers import customer
from cyphera_pipelines.sandbox.stripe.generate.discounts import coupon_object
from cyphera_pipelines.sandbox.stripe.generate.invoices import InvoiceGenerator, due_date
from cyphera_pipelines.sandbox.stripe.generate.prices import price
from cyphera_pipelines.sandbox.stripe.generate.products import product
from cyphera_pipelines.sandbox.stripe.generate.subscriptions import EMBEDDED, SubscriptionGenerator
from cyphera_pipelines.sandbox.stripe.generate.ugly import MAKE_UGLY
from cyphera_pipelines.sandbox.stripe.generate.world import StripeWorld

NESTED_LISTS = {"invoices": "lines", "subscriptions": "items"}
"""The field that holds the nested list of a collection's objects."""


class Catalog:
    """Every object of an account, computed when asked for."""

    def __init__(self, account: SandboxAccount) -> None:
        self.world = StripeWorld(account)
        subscriptions = Subscriptions(self.world)
        self.subscriptions = SubscriptionGenerator(self.world, subscriptions)
        self.bills = Bills(self.world, subscriptions)
        self.invoices = InvoiceGenerator(self.world, self.bills)
        self._ugly = sorted(account.ugly)
        self._ugly_share = account.ugly_share

    def build(self, collection: str, number: int, whole: bool = False) -> JsonObject:
        """Return an object; its nested list holds the first ten elements, or all if `whole`. Prices have tiers."""
        limit = None if whole else EMBEDDED
        if collection == "invoices":
            built = self.invoices.invoice(number, limit)
        elif collection == "subscriptions":
            built = self.subscriptions.subscription(number, limit)
        elif collection == "customers":
            built = customer(self.world, number)
        elif collection == "prices":
            built = price(self.world, number)
        else:
            built = product(self.world, number)
        if self._ugly:
            dice = self.world.dice("ugly", collection, number)
            if dice.chance(self._ugly_share):
                MAKE_UGLY[dice.pick(self._ugly)](built)
        return built

    def coupons(self) -> list[JsonObject]:
        """Return the account's coupons, oldest first."""
        created = self.world.account.newest_created - self.world.account.days * DAY
        return [coupon_object(self.world, each, created) for each in coupons(self.world)]

    def facts(self, collection: str, number: int) -> JsonObject:
        """Return what a list can be filtered by, at less cost than the whole object where that matters."""
        world = self.world
        if collection == "invoices" and not self._ugly:
            invoice = self.bills.facts(number)
            parent = None if invoice.subscription is None else world.subscription_id(invoice.subscription)
            return {
                "status": invoice.status,
                "customer": world.customer_id(invoice.customer),
                "subscription": parent,
                "collection_method": invoice.collection_method,
                "due_date": due_date(world.created_at("invoices", number), invoice.collection_method),
            }
        if collection == "customers" and not self._ugly:
            return {"email": contact(world, number)[1], "test_clock": world.test_clock(number)}
        return facts_of(self.build(collection, number, whole=collection == "subscriptions"))


def facts_of(built: JsonObject) -> JsonObject:
    """Return what a list can be filtered by, read from a whole object."""
    kind = built.get("object")
    if kind == "invoice":
        parent: Any = built.get("parent") or {}
        details = parent.get("subscription_details") or {}
        return {**built, "subscription": details.get("subscription")}
    if kind == "subscription":
        items = (built.get("items") or {}).get("data", [])
        first = items[0] if items else {}
        period = {name: first.get(name) for name in ("current_period_start", "current_period_end")}
        return {**built, **period, "prices": [item["price"]["id"] for item in items]}
    if kind == "price":
        return {**built, **{f"recurring.{key}": value for key, value in (built.get("recurring") or {}).items()}}
    return built
