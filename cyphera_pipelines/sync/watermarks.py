"""From when on changes have to be read."""

import time
from datetime import UTC, datetime

from cyphera_pipelines.providers.base import BELIEVED_WITHIN

WATERMARK_LAG = 60.0
"""Seconds that a watermark stays behind the clock: provider events can be found a little later than they happen."""


def watermark_at(moment: float) -> datetime:
    """The watermark of somebody who asked at that moment, in seconds since 1970 on the provider's clock."""
    return datetime.fromtimestamp(moment - WATERMARK_LAG, UTC)


def is_to_come(moment: float) -> bool:
    """Whether the moment lies ahead of our clock by more than clocks may differ: a wrong clock wrote it down."""
    return moment > time.time() + BELIEVED_WITHIN
