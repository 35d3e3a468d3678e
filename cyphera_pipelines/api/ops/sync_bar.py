"""The bar of a source's last syncs: one stroke each, the newest at the right, and the same in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.store.fleet import SYNCS_SHOWN, PastSync

STROKE, GAP, HEIGHT = 5, 2, 20
"""Units of the drawing."""
# Not by colour alone: what went well stands high.
_HEIGHTS = {
    SessionStatus.COMPLETED: HEIGHT,
    SessionStatus.RUNNING: HEIGHT,
    SessionStatus.PENDING: HEIGHT,
    SessionStatus.PARTIAL: 14,
    SessionStatus.FAILED: 8,
    SessionStatus.CANCELLED: 4,
}


@dataclass(frozen=True)
class SyncBar:
    """One SVG path per status, and what a reader who does not see it is told."""

    paths: dict[SessionStatus, str]
    words: str
    width: int = SYNCS_SHOWN * (STROKE + GAP) - GAP
    height: int = HEIGHT


def draw_bar(syncs: Sequence[PastSync]) -> SyncBar:
    """The bar of these syncs, of which the newest comes first."""
    paths: dict[SessionStatus, str] = {}
    for number, sync in enumerate(syncs[:SYNCS_SHOWN]):
        left = (SYNCS_SHOWN - 1 - number) * (STROKE + GAP)
        high = _HEIGHTS[sync.status]
        stroke = f"M{left} {HEIGHT - high}h{STROKE}v{high}h-{STROKE}z"
        paths[sync.status] = paths.get(sync.status, "") + stroke
    return SyncBar(paths, _words(syncs))


def _words(syncs: Sequence[PastSync]) -> str:
    if not syncs:
        return "No sync yet"
    counted = Counter(sync.status for sync in syncs)
    told = ", ".join(f"{counted[status]} {status.value}" for status in SessionStatus if counted[status])
    if len(syncs) == 1:
        return f"Its only sync: {told}"
    return f"Its last {len(syncs)} syncs: {told}; the newest is {syncs[0].status.value}"
