"""What the generators of one Stripe account share: the identifiers of a business's objects there."""

from functools import lru_cache

from cyphera_pipelines.sandbox.business.ids import IdSpace, id_space
from cyphera_pipelines.sandbox.business.world import CACHED_CORES, World
from cyphera_pipelines.sandbox.stripe.accounts import SandboxAccount

_ID_SHAPES = {
    "customers": ("cus_", 3),
    "products": ("prod_", 3),
    "prices": ("price_1", 12),
    "subscriptions": ("sub_1", 12),
    "subscription_items": ("si_", 3),
    "invoices": ("in_1", 12),
    "events": ("evt_1", 12),
}
TEST_CLOCKS = 3


class StripeWorld(World):
    """The identifiers and times of one account."""

    def __init__(self, account: SandboxAccount) -> None:
        super().__init__(account)
        self.account = account
        self.livemode = account.livemode
        self.ids: dict[str, IdSpace] = {
            collection: id_space(prefix, tag_length, account.account_id, account.livemode, account.seed)
            for collection, (prefix, tag_length) in _ID_SHAPES.items()
        }
        self.product_id = lru_cache(maxsize=CACHED_CORES)(self._product_id)

    def customer_id(self, number: int) -> str:
        """Return a customer's identifier."""
        return self.ids["customers"].encode(number)

    def test_clock(self, customer: int) -> str | None:
        """The identifier of the test clock that a customer belongs to; None if to none."""
        if self.livemode or not self.account.test_clock_share:
            return None
        dice = self.dice("test clock", customer)
        if not dice.chance(self.account.test_clock_share):
            return None
        return f"clock_1{self.account.account_id.removeprefix('acct_')}{dice.below(TEST_CLOCKS)}"

    def price_id(self, number: int) -> str:
        """Return a price's identifier."""
        return self.ids["prices"].encode(number)

    def subscription_id(self, number: int) -> str:
        """Return a subscription's identifier."""
        return self.ids["subscriptions"].encode(number)

    def invoice_id(self, number: int) -> str:
        """Return an invoice's identifier."""
        return self.ids["invoices"].encode(number)

    def _product_id(self, number: int) -> str:
        """Every eighth product has an id of the merchant's own, the same in test and live mode."""
        return f"plan-{number:04d}" if number % 8 == 5 else self.ids["products"].encode(number)

    def number_of(self, collection: str, identifier: str) -> int | None:
        """Return the number that an identifier of a base collection stands for; it may lie past the last object."""
        if collection == "products" and identifier.startswith("plan-"):
            digits = identifier.removeprefix("plan-")
            number = int(digits) if digits.isascii() and digits.isdecimal() else -1
            return number if number >= 0 and self.product_id(number) == identifier else None
        number_or_none = self.ids[collection].decode(identifier)
        if collection == "products" and number_or_none is not None and number_or_none % 8 == 5:
            return None
        return number_or_none
