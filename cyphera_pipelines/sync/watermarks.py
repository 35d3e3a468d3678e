"""From when on provider events have to be read, and for how long they can be."""

from datetime import UTC, datetime

WATERMARK_LAG = 60.0
"""Seconds that a watermark stays behind the clock: provider events can be found a little later than they happen."""

EVENTS_ARE_KEPT_FOR = 28 * 86_400.0
"""Seconds. Stripe keeps provider events for 30 days; the margin is for a sync that takes long."""


def watermark_at(moment: float) -> datetime:
    """The watermark of somebody who asked at that moment, in seconds since 1970 on the provider's clock."""
    return datetime.fromtimestamp(moment - WATERMARK_LAG, UTC)
