"""Chargebee's lists: pages of whatever size gets through, which may be odd, and may have no end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import EndlessListError, ProviderError
from cyphera_pipelines.providers.chargebee.resources import moment_of
from cyphera_pipelines.providers.chargebee.transport import ChargebeeTransport
from cyphera_pipelines.providers.http.failures import UnreadableBodyError
from cyphera_pipelines.providers.http.page_size import PageSize

PAGE_LIMIT = 100
LONGEST_OFFSET = 1_000
"""Characters. Chargebee's offsets have at most as many."""
MOST_PAGES_OF_ONE_MOMENT = 1_000
"""100,000 entries, none of them beyond those before: no site has so many events in one second."""


@dataclass(frozen=True)
class ListedPage:
    """The objects on a page, bare, and the offset of the next one; None if this is the last."""

    objects: list[Any]
    next_offset: str | None


class ListReader:
    """Reads one site's lists. Safe to use from several threads."""

    def __init__(self, transport: ChargebeeTransport) -> None:
        self._transport = transport
        self._sizes: dict[str, PageSize] = {}

    def page(
        self,
        plural: str,
        name: str,
        parameters: Mapping[str, Any],
        operation: str,
        *,
        offset: str | None = None,
        limit: int = PAGE_LIMIT,
        entity: Entity | None = None,
    ) -> ListedPage:
        """One page of the objects called `name`. Where pages keep arriving cut off, smaller ones are asked for.

        Raises ProviderError's kinds: EndlessListError if the page that follows is this one again.
        """
        size, wanted = self._sizes.setdefault(plural, PageSize()), limit
        asked_for = dict(parameters) if offset is None else {**parameters, "offset": offset}
        while True:
            asked = size.at_most(wanted)
            try:
                answer = self._transport.get(
                    f"/{plural}", {"limit": asked, **asked_for}, operation, endpoint=plural, entity=entity
                )
            except UnreadableBodyError:
                if asked == 1:
                    raise
                size.cut_off(asked)
                # For this very page, whatever size gets through elsewhere meanwhile.
                wanted = asked // 2
            else:
                size.arrived(asked, limit)
                following = _next_offset(answer, operation)
                if following is not None and following == offset:
                    raise EndlessListError(operation, "what follows a page is that page again")
                return ListedPage(_objects(answer, name, operation), following)

    def pages(
        self,
        plural: str,
        name: str,
        parameters: Mapping[str, Any],
        operation: str,
        *,
        moment: str,
        newest_first: bool = False,
        entity: Entity | None = None,
    ) -> Iterator[list[Any]]:
        """The objects, page by page, of a list that is sorted by `moment`. Raises what `page` does."""
        progress, offset = _Progress(operation, moment, newest_first), None
        asked_for = {**parameters, "sort_by[desc]" if newest_first else "sort_by[asc]": moment}
        while True:
            page = self.page(plural, name, asked_for, operation, offset=offset, entity=entity)
            yield page.objects
            offset = page.next_offset
            if offset is None:
                return
            progress.goes_on(page.objects, offset)


@dataclass
class _Progress:
    """Whether a list gets anywhere."""

    operation: str
    moment: str
    newest_first: bool
    _offsets: set[str] = field(default_factory=set)
    _farthest: int | None = None
    _pages_of_one_moment: int = 0

    def goes_on(self, objects: list[Any], offset: str) -> None:
        """Another page follows, at the offset. Raises EndlessListError."""
        if offset in self._offsets:
            raise EndlessListError(self.operation, "the same page follows twice")
        self._offsets.add(offset)
        self._pages_of_one_moment += 1
        sign = -1 if self.newest_first else 1
        moments = [sign * moment for moment in (moment_of(obj, self.moment) for obj in objects) if moment is not None]
        if moments and (self._farthest is None or max(moments) > self._farthest):
            self._farthest, self._pages_of_one_moment = max(moments), 1
        if self._pages_of_one_moment >= MOST_PAGES_OF_ONE_MOMENT:
            raise EndlessListError(
                self.operation, f"nothing on the last {self._pages_of_one_moment} pages is beyond those before"
            )


def _objects(answer: dict[str, Any], name: str, operation: str) -> list[Any]:
    """Every entry's object. An entry without one stays as it is: nothing is dropped in silence."""
    entries = answer.get("list")
    if not isinstance(entries, list):
        raise ProviderError(f"Chargebee's answer to {operation} is not a list.")
    return [entry[name] if isinstance(entry, dict) and name in entry else entry for entry in entries]


def _next_offset(answer: dict[str, Any], operation: str) -> str | None:
    offset = answer.get("next_offset")
    if offset is None:
        return None
    if not isinstance(offset, str) or not 0 < len(offset) <= LONGEST_OFFSET:
        raise ProviderError(f"Chargebee's answer to {operation} does not tell plainly where the list goes on.")
    return offset
