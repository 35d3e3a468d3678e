"""Lists, read to their end as the engine does."""

from collections.abc import Iterator

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import Interval, MappedPage, Page, ProviderClient

MOST_PAGES = 1_000


def pages(
    client: ProviderClient, entity: Entity, *, interval: Interval | None = None, limit: int = 100
) -> Iterator[Page]:
    """All pages of a list, nested lists completed."""
    cursor = None
    for _number in range(MOST_PAGES):
        page = client.list_page(entity, interval=interval or Interval(), cursor=cursor, limit=limit)
        cursor = _following(client, page)
        client.complete(page)
        yield page
        if cursor is None:
            return
    raise AssertionError(f"the list of {entity.value} has no end")


def _following(client: ProviderClient, page: Page) -> str | None:
    if not page.has_more:
        return None
    return page.next_cursor or client.listed(page.entity, page.objects[-1]).id


def listed_ids(
    client: ProviderClient, entity: Entity, *, interval: Interval | None = None, limit: int = 100
) -> list[str]:
    """The ids of all objects of a list, in its order."""
    found = [
        client.listed(entity, obj).id
        for page in pages(client, entity, interval=interval, limit=limit)
        for obj in page.objects
    ]
    assert None not in found
    return [object_id for object_id in found if object_id is not None]


def mapped(client: ProviderClient, entity: Entity) -> MappedPage:
    """All objects of a list as rows."""
    result = MappedPage()
    for page in pages(client, entity):
        rows = client.map_page(page)
        result.objects += rows.objects
        result.unmappable += rows.unmappable
        result.incomplete += rows.incomplete
    return result
