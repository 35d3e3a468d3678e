"""A site's events: what happened to its objects, each telling of all objects that it touched."""

import time
from collections.abc import Callable

from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.chargebee.resources import RESOURCES
from cyphera_pipelines.sandbox.chargebee.shelf import Shelf
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes

DAY = 86_400
_IDS_PER_SECOND = 8_000
SOURCES = ("api", "admin_console", "scheduled_job")


class EventShelf(Shelf):
    """The events of one site, each with what became of its webhooks.

    That is noted by threads that send, which must not wait for the site's lock: whoever lets something happen holds it
    while the webhooks of what happened are put into their queues.
    """

    def __init__(self) -> None:
        super().__init__(RESOURCES["events"])
        self._statuses: dict[str, str] = {}

    def note(self, event_id: str, webhook_status: str) -> None:
        """Note what became of an event's webhooks. Takes no lock."""
        self._statuses[event_id] = webhook_status

    def whole(self, place: int) -> JsonObject:
        """Return the event at a place."""
        event = super().whole(place)
        return {**event, "webhook_status": self._statuses.get(event["id"], event["webhook_status"])}

    def body(self, place: int) -> bytes:
        """Return the event at a place as JSON."""
        return to_bytes(self.whole(place))


class EventLog:
    """The events of one site. The site's lock guards it.

    Other than the objects', their ids differ each time that a sandbox starts: no provider gives an id twice, and
    whoever keeps those that it knows would take the events of a sandbox that was started again for known.
    """

    def __init__(self, site: ChargebeeSite) -> None:
        self._site = site
        self.shelf = EventShelf()
        self._made = int(time.time() * _IDS_PER_SECOND)
        self._visible_at: dict[str, float] = {}
        self.on_record: Callable[[JsonObject], None] | None = None
        """Called with each new event."""

    def is_seen(self, event: JsonObject) -> bool:
        """Whether an event can be listed: past its delay, and no older than events are kept."""
        now, days = time.time(), self._site.events_kept_days
        is_kept = days is None or event["occurred_at"] >= now - days * DAY
        return is_kept and self._visible_at[event["id"]] <= now

    def record(self, event_type: str, content: JsonObject, at: int, source: str = "api") -> JsonObject:
        """Add an event, or two of the same, as the site has it; return the first."""
        event = self._add(event_type, content, at, source)
        if Dice(self._site.seed, "doubled", self._made).chance(self._site.events_doubled):
            self._add(event_type, content, at, source)
        return event

    def get(self, event_id: str) -> JsonObject:
        """Return an event. Raises KeyError for one that there is not, or not yet."""
        event = self.shelf.get(event_id)
        if not self.is_seen(event):
            raise KeyError(event_id)
        return event

    def _add(self, event_type: str, content: JsonObject, at: int, source: str) -> JsonObject:
        self._made += 1
        dice = Dice(self._site.seed, "event", self._made)
        jitter = self._site.event_jitter_seconds
        event: JsonObject = {
            "id": f"ev_{self._made:x}{dice.hexadecimal(6)}",
            "occurred_at": at + (dice.below(jitter + 1) if jitter else 0),
            "source": source,
            "object": "event",
            "api_version": "v2",
            "event_type": event_type,
            "content": content,
            "webhook_status": "not_configured",
            "webhooks": [],
        }
        if source == "api":
            event["user"] = "full_access_key_v1"
        self._visible_at[event["id"]] = time.time() + self._site.event_delay_seconds
        self.shelf.add(event)
        if self.on_record is not None:
            self.on_record(event)
        return event
