"""Mapping a page's objects one by one: what is odd about one of them is its own trouble."""

from collections.abc import Callable, Iterable
from typing import Any

from cyphera_pipelines.model.rows import MappedObject, UnmappableObject
from cyphera_pipelines.providers.base import MappedPage
from cyphera_pipelines.providers.mapping.rows import UnmappableValueError


def map_each(objects: Iterable[Any], map_one: Callable[[Any], tuple[MappedObject, bool]]) -> MappedPage:
    """Map every object with `map_one`, which also says whether characters had to be taken out of it.

    What cannot be mapped is reported with its reason, whole.
    """
    page = MappedPage()
    for obj in objects:
        try:
            mapped, was_cleaned = map_one(obj)
        except Exception as problem:  # whatever stands in it, it is one object's trouble
            object_id = obj.get("id") if isinstance(obj, dict) else None
            reason = (
                str(problem) if isinstance(problem, UnmappableValueError) else f"it has an unknown shape ({problem!r})"
            )
            page.unmappable.append(UnmappableObject(object_id if isinstance(object_id, str) else None, reason, obj))
            continue
        page.objects.append(mapped)
        if was_cleaned:
            page.cleaned.append(mapped.id)
    return page
