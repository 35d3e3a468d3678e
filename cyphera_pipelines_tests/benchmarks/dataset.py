"""The account that the benchmarks sync, in any size, and what is in it: counted, without building it."""

from dataclasses import dataclass

from cyphera_pipelines.sandbox import SandboxAccount
from cyphera_pipelines.sandbox.stripe.generate.catalog import Catalog
from cyphera_pipelines.sandbox.stripe.generate.subscriptions import EMBEDDED

PAGE = 100
"""Objects on a full page."""
FULL_SIZE = {"customers": 20_000, "products": 200, "prices": 600, "subscriptions": 20_000, "invoices": 60_000}
LISTS: dict[str, dict[str, str]] = {
    "customers": {},
    "products": {},
    "prices": {},
    "subscriptions": {"status": "all"},
    "invoices": {},
}
"""What simple loaders list, and the parameters that make it complete."""
NESTED = {"subscriptions": ("items", "subscription_items"), "invoices": ("lines", "invoice_line_items")}
"""The embedded lists that they take with it, as far as these come embedded, and the tables of those."""
LONG_INVOICES = 0.01
"""The share of invoices with 11 to 250 lines. As large is that of subscriptions with 11 to 25 items."""


@dataclass(frozen=True)
class Contents:
    """What a complete sync of an account ends with, and what it takes.

    `rows` are by table, `fewest_requests` by endpoint, as in `GET /v1/invoices/:id/lines`: full pages throughout, the
    account and the provider events left out. `embedded_rows` is what the listed objects bring by themselves.
    """

    rows: dict[str, int]
    embedded_rows: dict[str, int]
    fewest_requests: dict[str, int]

    @property
    def total_rows(self) -> int:
        """Objects, lines, items, tiers and prices' currencies."""
        return sum(self.rows.values())

    @property
    def all_requests(self) -> int:
        """The fewest requests at all endpoints together."""
        return sum(self.fewest_requests.values())


def benchmark_account(name: str, scale: float, *, cache_megabytes: int = 2_000) -> SandboxAccount:
    """The account with each of FULL_SIZE times `scale` objects, in live mode, so that Stripe's live limits apply."""
    size = {collection: max(1, round(count * scale)) for collection, count in FULL_SIZE.items()}
    account = SandboxAccount(
        api_key=f"sk_live_{name}",
        account_id=f"acct_{name}",
        long_invoice_share=LONG_INVOICES,
        large_subscription_share=LONG_INVOICES,
        cache_megabytes=cache_megabytes,
    )
    return account.model_copy(update=size)


def contents_of(account: SandboxAccount) -> Contents:
    """Count an account's rows and pages. Takes some 20 microseconds per object, and twice as much per invoice."""
    catalog = Catalog(account)
    nested = {
        "invoice_line_items": [catalog.bills.facts(number).line_count for number in range(account.invoices)],
        "subscription_items": [
            len(catalog.bills.subscriptions.facts(number).price_numbers) for number in range(account.subscriptions)
        ],
    }
    objects = {collection: account.size_of(collection) for collection in FULL_SIZE}
    prices = [catalog.build("prices", number) for number in range(account.prices)]
    of_prices = {
        "price_tiers": sum(len(price.get("tiers") or []) for price in prices),
        "price_currency_options": sum(len(price["currency_options"]) for price in prices),
    }
    counted = {name: sum(lengths) for name, lengths in nested.items()}
    counted["invoice_payments"] = sum(catalog.bills.bill(number).paid > 0 for number in range(account.invoices))
    embedded = {name: sum(min(EMBEDDED, length) for length in lengths) for name, lengths in nested.items()}
    pages = {f"GET /v1/{collection}": max(1, _pages(count)) for collection, count in objects.items()}
    further = {
        endpoint: sum(_pages(length - EMBEDDED) for length in nested[name] if length > EMBEDDED)
        for endpoint, name in _NESTED_ENDPOINTS.items()
    }
    return Contents(
        rows={**objects, **of_prices, **counted},
        embedded_rows={**objects, **embedded},
        fewest_requests={**pages, **further},
    )


_NESTED_ENDPOINTS = {
    "GET /v1/invoices/:id/lines": "invoice_line_items",
    "GET /v1/subscription_items": "subscription_items",
}


def _pages(objects: int) -> int:
    return -(-objects // PAGE)
