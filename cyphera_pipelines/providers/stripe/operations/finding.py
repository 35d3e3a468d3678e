"""Whether a write has happened, by reading alone: see `notes` for what is looked at."""

from collections.abc import Iterator, Mapping
from typing import Any

from cyphera_pipelines.providers.base import THE_OBJECT, ObjectGoneError, PreparedWrite
from cyphera_pipelines.providers.stripe.operations.listing import Reader
from cyphera_pipelines.providers.stripe.operations.mark import has_mark
from cyphera_pipelines.providers.stripe.operations.notes import Condition, Note
from cyphera_pipelines.providers.stripe.operations.sending import described
from cyphera_pipelines.providers.stripe.paging import Paging, entries_of

CLOCKS_DIFFER = 300
"""Seconds by which Stripe's clock may be behind ours: what was made after we sent a request may seem so much older."""
_PAGE = 100


class Finder:
    """Looks for what writes have done in one account."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def find(self, write: PreparedWrite, key: str, sent_at: float) -> dict[str, Any] | None:
        """The object that the write made or changed, as it is now; None where nothing shows that it has happened.

        All of its requests have to be found. An object that is gone is told as `{"deleted": True}` beside its id.
        Raises ProviderError's kinds.
        """
        found = self.find_request(write, write.object_id, key, sent_at)
        for step in write.then if found is not None else ():
            made_id = None if found is None else str(found.get("id"))
            if self.find_request(step, made_id, key, sent_at) is None:
                return None
        return found

    def find_request(
        self, request: PreparedWrite, object_id: str | None, key: str, sent_at: float
    ) -> dict[str, Any] | None:
        """What shows that this one request has happened. `object_id` is the write's object, as far as it is known."""
        note: Note = request.finding  # type: ignore[assignment]
        operation, kind, since = f"looking for what came of {described(request)}", request.kind.value, _since(sent_at)
        path = note["path"] if object_id is None else note["path"].replace(THE_OBJECT, object_id)
        if note["by"] == "mark":
            asked = {**note.get("parameters", {})} | ({"created[gte]": since} if note.get("is_dated") else {})
            return next((each for each in self._all(path, asked, operation, kind) if has_mark(each, key)), None)
        try:
            present = self._reader.raw(path, note.get("parameters", {}), operation, endpoint=f"one of {kind}")
        except ObjectGoneError:
            present = {"id": object_id, "deleted": True}
        if (note["by"] == "absence") is not (present.get("deleted") is True):
            return None
        conditions = note.get("conditions", [])
        if note["by"] == "absence" or (conditions and all(_is_met(each, present) for each in conditions)):
            return present
        return present if self._was_told(note.get("events", []), key, since) else None

    def _was_told(self, types: list[str], key: str, since: int) -> bool:
        """Whether a provider event names the key as the one of the request that it comes of."""
        if not types:
            return False
        asked = {"types[]": tuple(types), "created[gte]": since}
        return any(
            _key_of(event) == key for event in self._all("/v1/events", asked, "listing provider events", "events")
        )

    def _all(self, path: str, asked: Mapping[str, Any], operation: str, endpoint: str) -> Iterator[Any]:
        cursor, paging = None, Paging(operation, is_short=False)
        while True:
            page = {**asked, "limit": _PAGE} | ({} if cursor is None else {"starting_after": cursor})
            answer = self._reader.raw(path, page, operation, endpoint=endpoint)
            entries = entries_of(answer, operation)
            yield from entries
            cursor = paging.following(answer, entries)
            if cursor is None:
                return


def _since(sent_at: float) -> int:
    return int(sent_at) - CLOCKS_DIFFER


def _key_of(event: Any) -> str | None:
    request = event.get("request") if isinstance(event, Mapping) else None
    key = request.get("idempotency_key") if isinstance(request, Mapping) else None
    return key if isinstance(key, str) else None


def _is_met(condition: Condition, obj: Mapping[str, Any]) -> bool:
    if "item" in condition:
        return _has_item(condition, obj)
    value = _value_at(obj, condition["at"])
    return any(_plain(value) == _plain(wanted) for wanted in condition["one_of"])


def _has_item(wanted: Condition, subscription: Mapping[str, Any]) -> bool:
    items = [each for each in _entries(subscription.get("items")) if isinstance(each, Mapping)]
    if wanted.get("is_removed"):
        return all(item.get("id") != wanted["item"] for item in items)
    return any(
        wanted.get("item") in (None, item.get("id"))
        and wanted.get("price") in (None, _plain(item.get("price")))
        and wanted.get("quantity") in (None, item.get("quantity"))
        for item in items
    )


def _entries(nested: Any) -> list[Any]:
    entries = nested.get("data") if isinstance(nested, Mapping) else None
    return entries if isinstance(entries, list) else []


def _value_at(value: Any, names: list[str]) -> Any:
    for name in names:
        if isinstance(value, list):
            value = value[int(name)] if name.isdecimal() and int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _plain(value: Any) -> Any:
    """Expanded objects as their ids, and what a form cannot tell apart as one: an empty text clears a field."""
    if isinstance(value, Mapping):
        return value.get("id")
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if value == "" else value
