"""A listing that is not over: what the next sync has to know to go on with it."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.cursors import SyncPosition
from cyphera_pipelines.sync.context import SyncContext
from cyphera_pipelines.sync.watermarks import is_to_come

STALE_AFTER = 7 * 86_400.0
"""Seconds after which an unfinished listing is not worth going on with."""


@dataclass(frozen=True)
class UnfinishedListing:
    """The `unfinished` column of a position.

    `watermark` is when its first attempt began and `listed_until` when its last one did, in seconds since 1970 on the
    provider's clock. `slices` are what is left to list, as `SlicePlan.checkpoint_after` writes it: none where only what
    changed meanwhile is still to be applied. `met_rows`: there were rows before it, which may be gone at the provider;
    `leaves_gaps`: of some of them it could not tell. `not_loaded` is how many objects could not be loaded so far.
    Another `mapping_version` than the provider's made other rows of what is listed already.
    """

    session_id: str
    strategy: ConflictStrategy
    watermark: float
    listed_until: float
    slices: list[dict[str, Any]]
    met_rows: bool
    leaves_gaps: bool = False
    not_loaded: int = 0
    mapping_version: int | None = None

    @property
    def is_listed(self) -> bool:
        """Whether every page is in the tables."""
        return not self.slices

    def as_json(self) -> dict[str, Any]:
        """In a form that JSON can hold."""
        return asdict(self)


def unfinished_of(position: SyncPosition) -> UnfinishedListing | None:
    """The position's unfinished listing, if there is one in a form that this program knows."""
    stored = position.unfinished
    if stored is None or "strategy" not in stored:
        return None
    return UnfinishedListing(**{**stored, "strategy": ConflictStrategy(stored["strategy"])})


def without_times_to_come(position: SyncPosition) -> SyncPosition:
    """The position without what a wrong clock wrote down: from when on changes are missing is not known then."""
    unfinished, watermark = unfinished_of(position), position.watermark
    if watermark is not None and is_to_come(watermark.timestamp()):
        position = replace(position, watermark=None)
    if unfinished is not None and is_to_come(max(unfinished.watermark, unfinished.listed_until)):
        position = replace(position, unfinished=None)
    return position


def to_be_continued(context: SyncContext, now: float, position: SyncPosition) -> UnfinishedListing | None:
    """The listing that this sync goes on with; None if there is none, or it is too old or not wanted.

    One that leaves rows as they are cannot be gone on with by one that overwrites them, and the other way round. A
    session that lists everything anew goes on only with what it began itself, in a process that died.
    """
    unfinished, request = unfinished_of(position), context.request
    if unfinished is None or unfinished.strategy is not request.conflict_strategy:
        return None
    if unfinished.mapping_version != find_provider(context.source.provider).mapping_version:
        return None
    if request.full_sync and unfinished.session_id != str(context.session.id):
        return None
    return unfinished if now - unfinished.watermark < STALE_AFTER else None
