"""The first page: how many sources are in which state, and each of them, the worst first."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlencode

import orjson
from fastapi import Query, Request, Response

from cyphera_pipelines.api.ops.pages import page
from cyphera_pipelines.api.ops.route import ops_router
from cyphera_pipelines.api.ops.sync_bar import draw_bar
from cyphera_pipelines.api.ops.viewers import CurrentViewer
from cyphera_pipelines.api.services import RequestServices
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.schedule import Schedule, in_words
from cyphera_pipelines.store.fleet import FleetFilter, Place, count_fleet, page_fleet

ROWS_OF_A_PAGE = 50
LONGEST_SEARCH = 100
REFRESH_SECONDS = 30
UPDATED_EVERY = 10

router = ops_router()


@dataclass(frozen=True)
class FleetView:
    """What is shown, as the address says it: every part of it can be linked to."""

    q: str = ""
    state: FleetFilter | None = None
    after: str = ""
    refresh: int = 0

    def address(self, **changes: object) -> str:
        """The query of a page that shows something else, as in `?state=late&q=acme`; the first rows of it."""
        view = replace(self, **{"after": "", **changes})  # type: ignore[arg-type]
        told = {name: value for name, value in vars(view).items() if value}
        return f"?{urlencode(told)}" if told else ""


@router.get("")
def show(
    request: Request,
    viewer: CurrentViewer,
    services: RequestServices,
    q: Annotated[str, Query(max_length=LONGEST_SEARCH)] = "",
    state: FleetFilter | Literal[""] = "",
    after: Annotated[str, Query(max_length=500)] = "",
    refresh: Annotated[int, Query(ge=0, le=3600)] = 0,
) -> Response:
    """The sources that the address asks for."""
    search = "".join(character for character in q if character.isprintable()).strip()
    view = FleetView(search, state or None, after, refresh and max(refresh, REFRESH_SECONDS))
    with viewer.transaction(services.database) as connection:
        counts = count_fleet(connection, view.q)
        found = page_fleet(
            connection, search=view.q, only=view.state, after=_read_place(view.after), limit=ROWS_OF_A_PAGE
        )
    return page(
        request,
        viewer,
        "fleet.html",
        view=view,
        counts=counts,
        counted=[(each, _COUNTED.get(each, each.value.replace("_", " "))) for each in FleetFilter],
        title=_title_of(view.state),
        rows=found.rows,
        next_after=None if found.next_after is None else _write_place(found.next_after),
        draw_bar=draw_bar,
        every=every,
        refresh_seconds=REFRESH_SECONDS,
        updated_every=UPDATED_EVERY,
    )


_COUNTED = {
    FleetFilter.SYNCING: "syncing now",
    FleetFilter.WEBHOOKS_DEAD: "webhooks given up",
    FleetFilter.DRIFT: "rows differ",
}
"""What is said of so many sources, where it is no state."""
_TITLES = {
    FleetFilter.SYNCING: "Sources that are syncing now",
    FleetFilter.WEBHOOKS_DEAD: "Sources with webhooks that were given up",
    FleetFilter.DRIFT: "Sources with rows that differ from the provider’s",
}


def _title_of(state: FleetFilter | None) -> str:
    if state is None:
        return "Sources"
    return _TITLES.get(state, f"{state.replace('_', ' ').capitalize()} sources")


def every(schedule: Schedule) -> str:
    """As in "every 15 minutes", "daily at 02:30 Europe/Berlin"."""
    if schedule.daily_at is None:
        return f"every {in_words(schedule.changes_every)}"
    return f"daily at {schedule.daily_at:%H:%M} {schedule.time_zone}"


def _write_place(place: Place) -> str:
    return urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _read_place(text: str) -> Place | None:
    if not text:
        return None
    try:
        rank, since, slug, provider = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return int(rank), datetime.fromisoformat(since), _plain(slug), _plain(provider)
    except (ValueError, TypeError, OverflowError):
        raise InvalidInputError(
            "The address names no place in the list of sources. Begin with the first page."
        ) from None


def _plain(text: object) -> str:
    if not isinstance(text, str) or not text.isprintable():
        raise ValueError
    return text
