"""When objects changed last."""

from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.serialization import JsonObject


def stamped(site: ChargebeeSite, built: JsonObject, earliest: int, dice: Dice, *, may_lack: bool = False) -> JsonObject:
    """Add to an object when it changed last, at or after `earliest` (Unix seconds), and its version to match.

    With `may_lack` some have neither, as objects do that did not change since these were kept.
    """
    latest = max(site.newest_created, earliest)
    updated = earliest + dice.below(max(1, (latest - earliest) // 4))
    milliseconds = dice.below(1_000)
    if may_lack and dice.chance(site.without_updated_share):
        return built
    built["updated_at"] = updated
    built["resource_version"] = updated * 1_000 + milliseconds
    return built
