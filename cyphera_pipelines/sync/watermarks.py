"""From when on provider events have to be read, and for how long they can be."""

import time
from datetime import UTC, datetime

from cyphera_pipelines.providers.base import BELIEVED_WITHIN

WATERMARK_LAG = 60.0
"""Seconds that a watermark stays behind the clock: provider events can be found a little later than they happen."""

EVENTS_ARE_KEPT_FOR = 28 * 86_400.0
"""Seconds. Stripe keeps provider events for 30 days; the margin is for a sync that takes long."""


def watermark_at(moment: float) -> datetime:
    """The watermark of somebody who asked at that moment, in seconds since 1970 on the provider's clock."""
    return datetime.fromtimestamp(moment - WATERMARK_LAG, UTC)


def is_to_come(moment: float) -> bool:
    """Whether the moment lies ahead of our clock by more than clocks may differ: a wrong clock wrote it down."""
    return moment > time.time() + BELIEVED_WITHIN
