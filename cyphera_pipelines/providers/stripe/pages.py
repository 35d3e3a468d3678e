"""Getting single pages of lists, in whatever size gets through."""

from collections.abc import Mapping
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.base import ProviderError
from cyphera_pipelines.providers.http.failures import AnswerTooLargeError, UnreadableBodyError
from cyphera_pipelines.providers.http.json_text import first_id_in_list
from cyphera_pipelines.providers.http.page_size import PageSize
from cyphera_pipelines.providers.stripe.transport import StripeTransport

PAGE_LIMIT = 100


class Unread(dict[str, Any]):
    """An entry on a page of which nothing could be read but its id, and why."""

    def __init__(self, entry_id: str, reason: str) -> None:
        super().__init__(id=entry_id)
        self.reason = reason


class PageReader:
    """Gets pages of one account's lists. Safe to use from several threads."""

    def __init__(self, transport: StripeTransport) -> None:
        self._transport = transport
        self._sizes: dict[str, PageSize] = {}

    def get(
        self,
        path: str,
        parameters: Mapping[str, Any],
        operation: str,
        *,
        endpoint: str,
        limit: int = PAGE_LIMIT,
        entity: Entity | None = None,
    ) -> dict[str, Any]:
        """Return the answer for a page. Where pages keep arriving cut off, smaller ones are asked for, for a while.

        An entry that is too large to be read by itself is `Unread`, if at least its id is found: whether others follow
        it is not known, which the next page tells. Raises what `StripeTransport.get` does.
        """
        size, wanted = self._sizes.setdefault(endpoint, PageSize()), limit
        while True:
            asked = size.at_most(wanted)
            try:
                answer = self._transport.get(
                    path, {"limit": asked, **parameters}, operation, endpoint=endpoint, entity=entity
                )
            except UnreadableBodyError as error:
                if asked == 1:
                    return _page_of_unread(error)
                size.cut_off(asked)
                # For this very page, whatever size gets through elsewhere meanwhile.
                wanted = asked // 2
            else:
                size.arrived(asked, limit)
                return answer


def _page_of_unread(error: UnreadableBodyError) -> dict[str, Any]:
    if not isinstance(error, AnswerTooLargeError):
        raise error
    entry_id = first_id_in_list(error.beginning)
    if not is_usable_id(entry_id):
        raise ProviderError(f"{error} Nor is it known what it is about.")
    return {"data": [Unread(entry_id, str(error))], "has_more": True}
