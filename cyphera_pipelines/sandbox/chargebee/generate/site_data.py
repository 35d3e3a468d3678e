"""All that a site holds at first."""

from collections import defaultdict
from collections.abc import Iterator

from cyphera_pipelines.sandbox.business.bills import Bills
from cyphera_pipelines.sandbox.business.offers import offer
from cyphera_pipelines.sandbox.business.subscriptions import Subscriptions
from cyphera_pipelines.sandbox.business.world import World
from cyphera_pipelines.sandbox.chargebee.generate import catalog, customers
from cyphera_pipelines.sandbox.chargebee.generate.catalog import PriceKey
from cyphera_pipelines.sandbox.chargebee.generate.discounts import coupons
from cyphera_pipelines.sandbox.chargebee.generate.invoices import InvoiceGenerator
from cyphera_pipelines.sandbox.chargebee.generate.oddities import MAKE_ODD
from cyphera_pipelines.sandbox.chargebee.generate.subscriptions import keys_of, subscription
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.serialization import JsonObject


class SiteData:
    """Everything that a site has before something happens in it, by resource and oldest first."""

    def __init__(self, site: ChargebeeSite) -> None:
        self.site = site
        self.world = World(site)
        self.subscriptions = Subscriptions(self.world)
        self.invoices = InvoiceGenerator(site, Bills(self.world, self.subscriptions))

    def objects(self) -> Iterator[tuple[str, JsonObject]]:
        """Yield each object with the path of its resource."""
        for resource, built in self._objects():
            if self.site.odd:
                dice = self.world.dice("odd", resource, built["id"])
                if dice.chance(self.site.odd_share):
                    MAKE_ODD[dice.pick(sorted(self.site.odd))](built)
            yield resource, built

    def _objects(self) -> Iterator[tuple[str, JsonObject]]:
        site, world = self.site, self.world
        for number in range(site.customers):
            yield "customers", customers.customer(site, world, number)
            if customers.has_card(world, number):
                yield "payment_sources", customers.payment_source(site, world, number)
        keys = self._price_keys()
        yield from self._catalog(keys)
        known = {coupon["id"]: coupon for coupon in coupons(site, world, keys)}
        for coupon in known.values():
            # Whoever makes one of them odd does so with a copy.
            yield "coupons", dict(coupon)
        for number in range(site.subscriptions):
            yield "subscriptions", subscription(site, self.subscriptions, number, known)
        yield from self._invoices()

    def _price_keys(self) -> list[PriceKey]:
        keys = list(catalog.base_keys(self.world))
        for number in range(self.site.subscriptions):
            keys += keys_of(self.subscriptions.facts(number))
        return list(dict.fromkeys(keys))

    def _catalog(self, keys: list[PriceKey]) -> Iterator[tuple[str, JsonObject]]:
        site, world = self.site, self.world
        for family in catalog.families(site):
            yield "item_families", family
        items = [
            catalog.item(site, world, product, item_type)
            for product in range(site.products)
            for item_type in catalog.ITEM_TYPES
        ]
        with_metered = {(offer(world, key.number).product, key.item_type) for key in keys if catalog.is_metered(key)}
        items += [catalog.item(site, world, *of, is_metered=True) for of in sorted(with_metered)]
        for item in items:
            yield "items", item
        yield from self._prices(keys, items)

    def _prices(self, keys: list[PriceKey], items: list[JsonObject]) -> Iterator[tuple[str, JsonObject]]:
        for key in sorted(keys):
            yield "item_prices", catalog.item_price(self.site, self.world, key)
        plan = next((item for item in items if item["type"] == "plan"), None)
        charge = next((item for item in items if item["type"] == "charge"), None)
        if plan is not None and charge is not None:
            for price in catalog.special_prices(self.site, plan, charge):
                yield "item_prices", price

    def _invoices(self) -> Iterator[tuple[str, JsonObject]]:
        of_customer: dict[int, list[int]] = defaultdict(list)
        for number in range(self.site.subscriptions):
            of_customer[self.subscriptions.facts(number).customer].append(number)
        for number in range(self.site.invoices):
            facts = self.invoices.bills.facts(number)
            others = [other for other in of_customer[facts.customer] if other != facts.subscription]
            invoice, payment, note = self.invoices.billed(number, others[:2])
            yield "invoices", invoice
            if payment is not None:
                yield "transactions", payment
            if note is not None:
                yield "credit_notes", note
