"""One Chargebee site: listing, changes, and rows."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.providers.base import (
    NOT_ABOUT_ONE_OBJECT,
    Change,
    ClientOptions,
    Interval,
    Listed,
    MappedPage,
    Notice,
    ObjectGoneError,
    Page,
    PermissionDeniedError,
    ProviderAccount,
    ProviderError,
    RefusedRequestError,
)
from cyphera_pipelines.providers.chargebee.access import check_configurations
from cyphera_pipelines.providers.chargebee.changes import changes_since
from cyphera_pipelines.providers.chargebee.coupons import CouponReader
from cyphera_pipelines.providers.chargebee.discounts import coupon_ids
from cyphera_pipelines.providers.chargebee.events import ChangeReader, EventReader
from cyphera_pipelines.providers.chargebee.lines import is_unfinished, read_rest
from cyphera_pipelines.providers.chargebee.lists import PAGE_LIMIT, ListReader
from cyphera_pipelines.providers.chargebee.mapping import map_objects
from cyphera_pipelines.providers.chargebee.resources import RESOURCES, id_of, is_deleted, moment_of
from cyphera_pipelines.providers.chargebee.site import is_test_site, reads_webhooks_back, site_of
from cyphera_pipelines.providers.chargebee.transport import ChargebeeTransport, object_path
from cyphera_pipelines.providers.http.clock import just_before

EVENTS_IN_A_MESSAGE = 5
INVOICES_AT_ONCE = 8
EVENTS_READ_AT_ONCE = 8


class ChargebeeClient:
    """See `ProviderClient`."""

    def __init__(self, credentials: Credentials, options: ClientOptions) -> None:
        self._site = site_of(credentials)
        self._livemode = not is_test_site(credentials)
        self._reads_webhooks_back = reads_webhooks_back(credentials)
        self._transport = ChargebeeTransport(credentials, options)
        self._clock, self._on_notice = self._transport.clock, options.on_notice
        self._lists = ListReader(self._transport)
        self._coupons = CouponReader(self._transport, self._lists, self._on_notice)
        self._fetches = ThreadPoolExecutor(INVOICES_AT_ONCE, thread_name_prefix="chargebee-fetch")
        self._is_known_site = False
        self._knowing_site = Lock()

    def close(self) -> None:
        """Give the threads back. The connections are shared and stay."""
        self._fetches.shutdown(wait=True, cancel_futures=True)

    def now(self) -> float:
        """See `ProviderClient`."""
        return self._clock.earliest()

    def account(self) -> ProviderAccount:
        """See `ProviderClient`."""
        answer = self._transport.get("/configurations", {}, "reading the site", endpoint="configurations")
        check_configurations(answer, self._site)
        self._is_known_site = True
        return ProviderAccount(id=self._site, name=self._site, livemode=self._livemode)

    def check_readable(self, entity: Entity) -> None:
        """See `ProviderClient`."""
        resource, operation = RESOURCES[entity], f"listing {entity.value}"
        self._lists.page(resource.plural, resource.name, {}, operation, limit=1, entity=entity)

    def check_events_readable(self) -> None:
        """See `ProviderClient`. Where events may not be read, the lists tell what was updated."""
        try:
            self._lists.page("events", "event", {}, "listing events", limit=1)
        except PermissionDeniedError:
            return

    def list_page(self, entity: Entity, *, interval: Interval, cursor: str | None, limit: int) -> Page:
        """See `ProviderClient`."""
        self._make_sure_of_site()
        resource, parameters = RESOURCES[entity], dict[str, Any]()
        axis = resource.axis
        if axis is None and interval != Interval():
            raise RefusedRequestError(f"Chargebee tells no moment by which {entity.value} could be divided.")
        parameters["sort_by[asc]" if axis is None else "sort_by[desc]"] = axis or "id"
        if interval.gte is not None:
            parameters[f"{axis}[after]"] = interval.gte - 1
        if interval.lt is not None:
            parameters[f"{axis}[before]"] = interval.lt
        version, operation = just_before(self._clock.now()), f"listing {entity.value}"
        page = self._lists.page(
            resource.plural,
            resource.name,
            parameters,
            operation,
            offset=cursor,
            limit=min(limit, PAGE_LIMIT),
            entity=entity,
        )
        objects = [obj for obj in page.objects if _is_within(obj, axis, interval)]
        return Page(entity, objects, page.next_offset is not None, version, next_cursor=page.next_offset)

    def listed(self, entity: Entity, obj: Any) -> Listed:
        """See `ProviderClient`."""
        axis = RESOURCES[entity].axis
        return Listed(id_of(obj), None if axis is None else moment_of(obj, axis))

    def list_unlisted(self, entity: Entity) -> Iterator[Page] | None:
        """See `ProviderClient`: a list that is divided by date shows no invoice without one."""
        return self._undated_invoices() if entity is Entity.INVOICES else None

    def _undated_invoices(self) -> Iterator[Page]:
        resource, operation, offset = RESOURCES[Entity.INVOICES], "listing invoices without a date", None
        asked = {f"{resource.axis}[is_present]": "false"}
        while True:
            version = just_before(self._clock.now())
            page = self._lists.page(
                resource.plural, resource.name, asked, operation, offset=offset, entity=Entity.INVOICES
            )
            offset = page.next_offset
            yield Page(Entity.INVOICES, page.objects, offset is not None, version)
            if offset is None:
                return

    def changes(self, entities: Sequence[Entity], since: int) -> Iterator[list[Change]]:
        """See `ProviderClient`."""
        reader = ChangeReader(EventReader(self._clock))
        for changes in changes_since(self._lists, reader, self._clock, entities, since):
            self._tell_of_unreadable(reader.take_unreadable())
            yield changes

    def changes_of(self, events: Sequence[Mapping[str, Any]]) -> list[Change]:
        """See `ProviderClient`."""
        reader, believed = ChangeReader(EventReader(self._clock)), list(events)
        if self._reads_webhooks_back:
            read = list(self._fetches.map(self._read_back, events))
            believed = [event for event in read if event is not None]
            unknown = [event for event, found in zip(events, read, strict=True) if found is None]
            self._tell_of_unreadable([(id_of(event) or "one without an id", _UNKNOWN) for event in unknown])
        changes = reader.read(believed, frozenset(Entity))
        self._tell_of_unreadable(reader.take_unreadable())
        return changes

    def _read_back(self, event: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The event as Chargebee has it; None if it has none of that id."""
        event_id = id_of(event)
        if event_id is None:
            return None
        operation = f"reading event {event_id} back"
        try:
            answer = self._transport.get(object_path("events", event_id), {}, operation, endpoint="one of events")
        except ObjectGoneError:
            return None
        found = answer.get("event")
        return found if isinstance(found, dict) and found.get("id") == event_id else None

    def _tell_of_unreadable(self, unreadable: Sequence[tuple[str, str]]) -> None:
        if not unreadable:
            return
        shown = "; ".join(f"{name} ({why})" for name, why in unreadable[:EVENTS_IN_A_MESSAGE])
        others = " and others" if len(unreadable) > EVENTS_IN_A_MESSAGE else ""
        events = counted(len(unreadable), "provider event")
        message = f"{events} could not be read, and cannot be applied: {shown}{others}."
        details, code = {"events": list(unreadable[:PAGE_LIMIT])}, ErrorCode.PROVIDER_EVENT_UNREADABLE
        self._on_notice(Notice("provider_events_unreadable", message, details, code))

    def fetch(self, change: Change) -> Page:
        """See `ProviderClient`."""
        entity, object_id, resource = change.entity, change.object_id, RESOURCES[change.entity]
        version = max(just_before(self._clock.now()), change.version)
        operation = f"reading {object_id} of {entity.value}"
        try:
            answer = self._transport.get(
                object_path(resource.plural, object_id), {}, operation, endpoint=f"one of {entity.value}", entity=entity
            )
        except ObjectGoneError:
            return Page(entity, [], has_more=False, version=version)
        obj = answer.get(resource.name)
        if not isinstance(obj, dict) or obj.get("id") != object_id:
            raise ProviderError(f"Chargebee's answer to {operation} is not that object.")
        return Page(entity, [] if is_deleted(obj) else [obj], has_more=False, version=version)

    def complete(self, page: Page) -> int:
        """See `ProviderClient`. An invoice that vanishes meanwhile leaves the page.

        What the coupons of subscriptions take off is read beside them.
        """
        if page.entity is Entity.SUBSCRIPTIONS:
            return self._coupons.read(coupon for obj in page.objects for coupon in coupon_ids(obj))
        if page.entity is not Entity.INVOICES:
            return 0
        unfinished = [obj for obj in page.objects if is_unfinished(obj)]
        outcomes = list(self._fetches.map(self._complete_or_note, unfinished))
        failed = {id(obj) for obj, (_, failure) in zip(unfinished, outcomes, strict=True) if failure is not None}
        page.objects = [obj for obj in page.objects if id(obj) not in failed]
        page.incomplete += [
            UnmappableObject(obj["id"], failure, obj)
            for obj, (_, failure) in zip(unfinished, outcomes, strict=True)
            if failure
        ]
        return sum(requests for requests, _ in outcomes)

    def _complete_or_note(self, invoice: dict[str, Any]) -> tuple[int, str | None]:
        """The requests made, and why the invoice's lines could not be read: an empty text if it is gone."""
        try:
            return read_rest(self._transport, invoice), None
        except NOT_ABOUT_ONE_OBJECT:
            raise
        except ObjectGoneError:
            return 1, ""
        except ProviderError as error:
            return 1, str(error)

    def map_page(self, page: Page) -> MappedPage:
        """See `ProviderClient`."""
        mapped = map_objects(
            page.entity, page.objects, version=page.version, livemode=self._livemode, terms=self._coupons.terms
        )
        mapped.incomplete += page.incomplete
        return mapped

    def _make_sure_of_site(self) -> None:
        """Before anything is listed: with another catalog, lists of items are empty, which must not be believed."""
        with self._knowing_site:
            if self._is_known_site:
                return
            try:
                self.account()
            except PermissionDeniedError:
                # Then what is asked for items says whether there are any.
                self._is_known_site = True


_UNKNOWN = "Chargebee knows no event of this id"


def _is_within(obj: Any, axis: str | None, interval: Interval) -> bool:
    """Whether the object is within the bounds, as far as it tells: whether Chargebee's are inclusive is not told."""
    moment = None if axis is None else moment_of(obj, axis)
    if moment is None:
        return True
    return (interval.gte is None or moment >= interval.gte) and (interval.lt is None or moment < interval.lt)
