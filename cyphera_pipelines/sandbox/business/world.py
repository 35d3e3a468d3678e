"""What the parts of one business share: chance, times, and who refers to whom. Objects go by their numbers here."""

from cyphera_pipelines.sandbox.business.business import BASE_COLLECTIONS, Business
from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.business.timeline import Timeline, timeline

CACHED_CORES = 65_536
"""How many small facts (a price, a subscription's customer and prices) are kept ready for those that refer to them."""


class World:
    """The times of one business. Numbers past a collection's size belong to objects created later."""

    def __init__(self, business: Business) -> None:
        self.business = business
        self.seed = business.seed
        self.sizes: dict[str, int] = {collection: business.size_of(collection) for collection in BASE_COLLECTIONS}
        self.timelines: dict[str, Timeline] = {
            collection: timeline(business.created, size, business.newest_created, business.days)
            for collection, size in self.sizes.items()
        }
        self.created_later: dict[tuple[str, int], int] = {}

    def dice(self, *key: object) -> Dice:
        """Return dice that depend on the business's seed and the key."""
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
