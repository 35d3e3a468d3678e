"""Finding out by reading whether a write has happened: by the note that goes with it."""

from collections.abc import Mapping
from typing import Any

from cyphera_pipelines.providers.base import THE_OBJECT, ObjectGoneError, PreparedWrite, ProviderError
from cyphera_pipelines.providers.chargebee.fields.invoices import made_at
from cyphera_pipelines.providers.chargebee.operations.matching import CLOCKS_DIFFER_BY, is_as_wanted
from cyphera_pipelines.providers.chargebee.operations.naming import new_id
from cyphera_pipelines.providers.chargebee.operations.notes import BY_ABSENCE, BY_ID, BY_LIST, BY_STATE, Note
from cyphera_pipelines.providers.chargebee.operations.reading import Reader
from cyphera_pipelines.providers.chargebee.operations.refunds import refund_note

GONE: Mapping[str, Any] = {}
"""What is found of an object that is not there any more, as it should be."""


class Finder:
    """Finds what became of writes. Its methods raise ProviderError's kinds if nobody can tell now."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def find(self, write: PreparedWrite, key: str, sent_at: float) -> Mapping[str, Any] | None:
        """The object as it is, once every request of the write was carried out; None if one of them was not."""
        found: Mapping[str, Any] | None = None
        made = new_id(write.kind.value, key)
        for step in (write, *write.then):
            object_id = made if step.object_id in (None, THE_OBJECT) else step.object_id
            now = self.find_step(step, str(object_id), sent_at)
            if now is None:
                return None
            found = now
        return found

    def find_step(self, step: PreparedWrite, object_id: str, sent_at: float) -> Mapping[str, Any] | None:
        """What reading tells of one request; None if it was not carried out."""
        note = dict(step.finding)
        match note.get("how"):
            case how if how in (BY_ID, BY_STATE):
                obj = self._read(note, note.get("owner", object_id))
                return obj if obj is not None and is_as_wanted(obj, note, sent_at) else None
            case how if how == BY_ABSENCE:
                return GONE if self._read(note, object_id) is None else None
            case how if how == BY_LIST:
                return self._find_in_list(refund_note(self._reader, note), sent_at)
        raise ProviderError(f"Nothing is noted of how to find out about {step.path}.")

    def _read(self, note: Note, object_id: str) -> dict[str, Any] | None:
        try:
            return self._reader.raw(note["plural"], note["name"], object_id)
        except ObjectGoneError:
            return None

    def _find_in_list(self, note: Note, sent_at: float) -> Mapping[str, Any] | None:
        since = int(sent_at) - CLOCKS_DIFFER_BY
        asked = {**note["asked"], "updated_at[after]": since}
        operation = f"looking for what was made of {note['plural']}"
        objects = self._reader.some(note["plural"], note["name"], asked, operation, moment=note["moment"])
        fitting = [
            obj
            for obj in objects
            if isinstance(obj, dict) and (_made_at(obj) or 0) >= since and is_as_wanted(obj, note, sent_at)
        ]
        if len(fitting) > 1:
            names = ", ".join(str(obj.get("id")) for obj in fitting)
            raise ProviderError(
                f"{len(fitting)} of {note['plural']} made since then are as this one was to be ({names}): nobody can "
                "tell which it is. Look at them at Chargebee."
            )
        return fitting[0] if fitting else None


def _made_at(obj: dict[str, Any]) -> int | None:
    made = made_at(obj)
    return made if isinstance(made, int) else None
