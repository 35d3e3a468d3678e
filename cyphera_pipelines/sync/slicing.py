"""Which part of a listing is still to be done, in a form that survives the process.

A slice is paged newest first by its own cursor. A listing has one slice from its start; a listing that is resumed gets
another one for what was created since.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from cyphera_pipelines.providers.base import CreatedInterval


@dataclass
class Slice:
    """The objects created in `[gte, lt)`, of which those up to and including `cursor` are in the tables.

    `cursor_created` is the creation time of the object `cursor`: if that object vanishes, the slice goes on by time.
    """

    gte: int | None = None
    lt: int | None = None
    cursor: str | None = None
    cursor_created: int | None = None

    @property
    def interval(self) -> CreatedInterval:
        """What to ask the provider for."""
        return CreatedInterval(self.gte, self.lt)

    def advanced(self, cursor: str, cursor_created: int | None) -> "Slice":
        """This slice after another page."""
        return Slice(self.gte, self.lt, cursor, cursor_created if cursor_created is not None else self.cursor_created)

    def without_cursor(self) -> "Slice":
        """This slice going on by time, for when the cursor's object is gone: its second is listed once more."""
        lt = self.cursor_created + 1 if self.cursor_created is not None else self.lt
        return Slice(self.gte, lt)


@dataclass
class Listing:
    """A listing in progress. Times are seconds since 1970 on the provider's clock.

    `watermark` was taken before the first request: what changed after it may have been missed.
    """

    watermark: float
    covers_until: int
    slices: list[Slice] = field(default_factory=lambda: [Slice()])

    def as_json(self) -> dict[str, Any]:
        """The form in which `sync_cursors.unfinished` keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Listing":
        """Read what `as_json` wrote."""
        slices = [Slice(**entry) for entry in stored["slices"]]
        return cls(float(stored["watermark"]), int(stored["covers_until"]), slices)

    def resumed(self, now: int) -> "Listing":
        """This listing going on at `now`: objects created since it began become a slice of their own."""
        newer = Slice(gte=self.covers_until)
        return Listing(self.watermark, now, [newer, *self.slices])
