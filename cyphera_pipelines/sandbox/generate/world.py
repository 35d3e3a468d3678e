"""What the generators of one account share: identifiers, times, and who refers to whom."""

from functools import lru_cache

from cyphera_pipelines.sandbox.accounts import BASE_COLLECTIONS, SandboxAccount
from cyphera_pipelines.sandbox.generate.dice import Dice
from cyphera_pipelines.sandbox.generate.ids import IdSpace, id_space
from cyphera_pipelines.sandbox.generate.timeline import Timeline, timeline

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
CACHED_CORES = 65_536
"""How many small facts (a price, a subscription's customer and prices) are kept ready for those that refer to them."""


class World:
    """The identifiers and times of one account. Numbers past a collection's size belong to objects created later."""

    def __init__(self, account: SandboxAccount) -> None:
        self.account = account
        self.seed = account.seed
        self.livemode = account.livemode
        self.ids: dict[str, IdSpace] = {
            collection: id_space(prefix, tag_length, account.account_id, account.livemode, account.seed)
            for collection, (prefix, tag_length) in _ID_SHAPES.items()
        }
        self.sizes: dict[str, int] = {collection: account.size_of(collection) for collection in BASE_COLLECTIONS}
        self.timelines: dict[str, Timeline] = {
            collection: timeline(account.created, size, account.newest_created, account.days)
            for collection, size in self.sizes.items()
        }
        self.created_later: dict[tuple[str, int], int] = {}
        self.product_id = lru_cache(maxsize=CACHED_CORES)(self._product_id)

    def dice(self, *key: object) -> Dice:
        """Return dice that depend on the account's seed and the key."""
        return Dice(self.seed, *key)

    def created_at(self, collection: str, number: int) -> int:
        """Return when an object was created, in Unix seconds."""
        if number < self.sizes[collection]:
            return self.timelines[collection].created_at(number)
        return self.created_later[collection, number]

    def not_newer(self, collection: str, number: int, target: str, dice: Dice) -> int:
        """Pick an object of `target` that is about as old as, or older than, the one that refers to it."""
        size = self.sizes[target]
        ceiling = number * size // max(self.sizes[collection], 1) + 1
        return dice.below(min(ceiling, size))

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
