"""One Stripe account: listing, nested lists, and rows."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from urllib.parse import quote

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.model.storable import is_usable_id, storable
from cyphera_pipelines.providers.base import (
    NOT_ABOUT_ONE_OBJECT,
    AccountNotOpenError,
    Change,
    ClientOptions,
    CursorLostError,
    EndlessListError,
    Interval,
    Listed,
    MappedPage,
    Notice,
    ObjectGoneError,
    Page,
    ProviderAccount,
    ProviderError,
    ProviderUnavailableError,
    RefusedRequestError,
)
from cyphera_pipelines.providers.http.clock import just_after, just_before
from cyphera_pipelines.providers.mapping.values import path as value_at
from cyphera_pipelines.providers.stripe import expansions
from cyphera_pipelines.providers.stripe.access import own_account_id
from cyphera_pipelines.providers.stripe.changes import ChangeReader, EventReader, event_type_groups
from cyphera_pipelines.providers.stripe.coupons import CouponBook
from cyphera_pipelines.providers.stripe.expansions import Expansions
from cyphera_pipelines.providers.stripe.keys import is_test_key
from cyphera_pipelines.providers.stripe.mapping import OBJECT_NAMES, map_objects
from cyphera_pipelines.providers.stripe.nested import NestedList, OptionTiers, unfinished_lists, untold_tiers
from cyphera_pipelines.providers.stripe.pages import PAGE_LIMIT, PageReader, Unread
from cyphera_pipelines.providers.stripe.paging import Paging, created_of, entries_of, id_of, next_cursor
from cyphera_pipelines.providers.stripe.transport import Parameters, StripeTransport

_log = logging.getLogger(__name__)

EXPANSIONS_AT_ONCE = 15
EVENTS_IN_A_MESSAGE = 5
MOST_RESTARTS = 3  # of one nested list that changes while it is read
NESTED_LISTS_AT_ONCE = 32  # Stripe's 25 per second, up to 1.3 s each

_LIST_PARAMETERS: dict[Entity, Parameters] = {
    # Without these, Stripe leaves out canceled subscriptions and the tiers of tiered prices.
    Entity.SUBSCRIPTIONS: {"status": "all"},
    Entity.PRICES: {"expand[]": ("data.tiers", "data.currency_options")},
}
_TEST_CLOCKS = "/v1/test_helpers/test_clocks"
# Without `test_clock`, Stripe leaves the objects of test clocks out.
_LISTED_BY_TEST_CLOCK = (Entity.CUSTOMERS, Entity.SUBSCRIPTIONS)
_READ_PARAMETERS: dict[Entity, Parameters] = {Entity.PRICES: {"expand[]": ("tiers", "currency_options")}}


class StripeAccountClient:
    """See `ProviderClient`."""

    def __init__(
        self, credentials: Credentials, options: ClientOptions, connected_account_id: str | None = None
    ) -> None:
        self._transport = StripeTransport(credentials, options, connected_account_id)
        self._own_account_id = own_account_id(connected_account_id)
        self._livemode = is_test_key(credentials.api_key.get_secret_value()) is False
        self._clock, self._on_notice = self._transport.clock, options.on_notice
        # None where the key does not tell: then the objects do.
        self._mode = None if is_test_key(credentials.api_key.get_secret_value()) is None else self._livemode
        self._events = EventReader(self._clock, self._mode)
        self._known_test_clocks: list[str] | None = None
        self._test_clocks_lock = threading.Lock()
        self._pages = PageReader(self._transport)
        self._expansions = Expansions(options.on_notice)
        self._coupons = CouponBook(self._transport, self._pages, options.on_notice)
        self._nested_fetches = ThreadPoolExecutor(NESTED_LISTS_AT_ONCE, thread_name_prefix="stripe-nested")

    def close(self) -> None:
        """Give the threads back. The connections are shared and stay."""
        self._nested_fetches.shutdown(wait=True, cancel_futures=True)

    def account(self) -> ProviderAccount:
        """See `ProviderClient`."""
        account = self._transport.get("/v1/account", {}, "reading the account", endpoint="account")
        if self._own_account_id not in (None, account.get("id")):
            raise AccountNotOpenError(
                f"Asked for account {self._own_account_id}, the provider answers for another one: nothing was read "
                "from it. Check connected_account_id, and that base_url leads to Stripe's API."
            )
        if not is_usable_id(account.get("id")):
            raise ProviderError("Stripe's answer to reading the account names none.")
        shown_name = value_at("settings", "dashboard", "display_name")(account)
        name, created = value_at("business_profile", "name")(account), created_of(account)
        return ProviderAccount(
            id=account["id"],
            name=_first_text(shown_name, name, account.get("email")),
            livemode=self._livemode,
            country=_first_text(account.get("country")),
            default_currency=_first_text(account.get("default_currency")),
            created=datetime.fromtimestamp(created, UTC) if created is not None and 0 <= created < 2**33 else None,
        )

    def check_readable(self, entity: Entity) -> None:
        """See `ProviderClient`."""
        path, operation = f"/v1/{entity.value}", f"listing {entity.value}"
        self._transport.get(path, {"limit": 1}, operation, endpoint=entity.value, entity=entity)

    def check_events_readable(self) -> None:
        """See `ProviderClient`."""
        self._transport.get("/v1/events", {"limit": 1}, "listing provider events", endpoint="events")

    def list_page(self, entity: Entity, *, interval: Interval, cursor: str | None, limit: int) -> Page:
        """See `ProviderClient`."""
        parameters: dict[str, Any] = {**_LIST_PARAMETERS.get(entity, {})}
        if interval.gte is not None:
            parameters["created[gte]"] = interval.gte
        if interval.lt is not None:
            parameters["created[lt]"] = interval.lt
        if cursor is not None:
            parameters["starting_after"] = cursor
        version, operation, path = just_before(self._clock.now()), f"listing {entity.value}", f"/v1/{entity.value}"
        answer = self._get_list(path, parameters, operation, entity, limit)
        objects = entries_of(answer, operation)
        following = next_cursor(answer, objects, operation)
        if following is not None and following == cursor:
            raise EndlessListError(operation, f"what follows {cursor} ends with it again")
        return Page(entity, objects, following is not None, version)

    def _get_list(
        self, path: str, parameters: Mapping[str, Any], operation: str, entity: Entity, limit: int = PAGE_LIMIT
    ) -> dict[str, Any]:
        """A page of the entity, with what is expanded in it."""

        def get(expand: tuple[str, ...]) -> dict[str, Any]:
            asked = {**parameters, "expand[]": expand} if expand else parameters
            return self._pages.get(path, asked, operation, endpoint=entity.value, limit=limit, entity=entity)

        return self._expansions.get(path, expansions.of_list(entity), get)

    def listed(self, _entity: Entity, obj: Any) -> Listed:
        """See `ProviderClient`."""
        created = obj.get("created") if isinstance(obj, dict) else None
        if created.__class__ is float and created.is_integer():
            created = int(created)
        return Listed(id_of(obj), created if created.__class__ is int else None)

    def list_unlisted(self, entity: Entity) -> Iterator[Page] | None:
        """See `ProviderClient`: what belongs to test clocks, which are there in test mode only."""
        if self._livemode or entity not in _LISTED_BY_TEST_CLOCK:
            return None
        return self._list_of_test_clocks(entity)

    def _list_of_test_clocks(self, entity: Entity) -> Iterator[Page]:
        for clock in self._test_clocks():
            version, operation = just_before(self._clock.now()), f"listing the {entity.value} of test clock {clock}"
            parameters = {**_LIST_PARAMETERS.get(entity, {}), "test_clock": clock}
            for objects in self._short_list(f"/v1/{entity.value}", parameters, operation, entity):
                yield Page(entity, objects, has_more=False, version=version)

    def _test_clocks(self) -> list[str]:
        """The ids of the account's test clocks, asked for once."""
        with self._test_clocks_lock:
            if self._known_test_clocks is None:
                operation, ids = "listing test clocks", list[str]()
                for clock in chain.from_iterable(self._short_list(_TEST_CLOCKS, {}, operation, None)):
                    clock_id = clock.get("id") if isinstance(clock, dict) else None
                    if not isinstance(clock_id, str):
                        raise ProviderError(f"Stripe's answer to {operation} holds something without an id.")
                    ids.append(clock_id)
                self._known_test_clocks = ids
            return self._known_test_clocks

    def _short_list(
        self, path: str, parameters: Mapping[str, Any], operation: str, entity: Entity | None
    ) -> Iterator[list[dict[str, Any]]]:
        """A short list's pages, one after the other."""
        cursor, paging = None, Paging(operation, is_short=True)
        while True:
            asked = parameters if cursor is None else {**parameters, "starting_after": cursor}
            if entity is None:
                answer = self._pages.get(path, asked, operation, endpoint="test clocks")
            else:
                answer = self._get_list(path, asked, operation, entity)
            objects = entries_of(answer, operation)
            yield objects
            cursor = paging.following(answer, objects)
            if cursor is None:
                return

    def changes(self, entities: Sequence[Entity], since: int) -> Iterator[list[Change]]:
        """See `ProviderClient`."""
        operation = "listing provider events"
        for types in event_type_groups(entities):
            reader, cursor, paging = ChangeReader(self._events), None, Paging(operation, is_short=False)
            while True:
                parameters: dict[str, Any] = {"created[gte]": since, "types[]": types}
                if cursor is not None:
                    parameters["starting_after"] = cursor
                answer = self._pages.get("/v1/events", parameters, operation, endpoint="events")
                events = entries_of(answer, operation)
                certain = list(reader.read(events))
                self._tell_of_unreadable(reader)
                cursor = paging.following(answer, events)
                yield certain if cursor is not None else [*certain, *reader.rest()]
                if cursor is None:
                    break

    def changes_of(self, events: Sequence[Mapping[str, Any]]) -> list[Change]:
        """See `ProviderClient`."""
        reader = ChangeReader(self._events)
        changes = reader.read_all(events)
        self._tell_of_unreadable(reader)
        return changes

    def _tell_of_unreadable(self, reader: ChangeReader) -> None:
        unreadable = reader.take_unreadable()
        if not unreadable:
            return
        shown = "; ".join(f"{name} ({why})" for name, why in unreadable[:EVENTS_IN_A_MESSAGE])
        others = " and others" if len(unreadable) > EVENTS_IN_A_MESSAGE else ""
        events = counted(len(unreadable), "provider event")
        message = f"{events} could not be read, and cannot be applied: {shown}{others}."
        details, code = {"events": unreadable[:PAGE_LIMIT]}, ErrorCode.PROVIDER_EVENT_UNREADABLE
        self._on_notice(Notice("provider_events_unreadable", message, details, code))

    def fetch(self, change: Change) -> Page:
        """See `ProviderClient`."""
        entity, object_id = change.entity, change.object_id
        version = max(just_before(self._clock.now()), just_after(change.version))
        address, operation = f"/v1/{entity.value}/{quote(object_id, safe='')}", f"reading {object_id} of {entity.value}"

        def get(expand: tuple[str, ...]) -> dict[str, Any]:
            asked = {"expand[]": expand} if expand else _READ_PARAMETERS.get(entity, {})
            return self._transport.get(address, asked, operation, endpoint=f"one of {entity.value}", entity=entity)

        try:
            answer = self._expansions.get(f"/v1/{entity.value}/:id", expansions.of_one(entity), get)
        except ObjectGoneError:
            return Page(entity, [], has_more=False, version=version)
        if not _is_the_one(answer, entity, object_id):
            raise ProviderError(f"Stripe's answer to {operation} is not that object.")
        objects = [] if answer.get("deleted") is True else [answer]
        return Page(entity, objects, has_more=False, version=version)

    def complete(self, page: Page) -> int:
        """See `ProviderClient`. An object that vanishes meanwhile leaves the page."""
        unread = [obj for obj in page.objects if isinstance(obj, Unread)]
        if unread:
            page.incomplete += [UnmappableObject(obj["id"], obj.reason, None) for obj in unread]
            page.objects = [obj for obj in page.objects if not isinstance(obj, Unread)]
        lists: list[NestedList | OptionTiers] = []
        for obj in page.objects:
            lists += unfinished_lists(page.entity, obj)
            lists += untold_tiers(page.entity, obj)
        requests = sum(self._nested_fetches.map(self._fetch_rest_or_note, lists))
        requests += self._coupons.complete(page.entity, page.objects)
        gone = {nested.object_id for nested in lists if nested.is_gone}
        failed = {nested.object_id: nested.failure for nested in lists if nested.failure is not None}
        if not gone and not failed:
            return requests
        left = []
        for obj in page.objects:
            object_id = obj.get("id") if isinstance(obj, dict) else None
            if not isinstance(object_id, str) or object_id not in gone | failed.keys():
                left.append(obj)
            elif object_id in failed:
                page.incomplete.append(UnmappableObject(object_id, failed[object_id], obj))
        page.objects = left
        return requests

    def _fetch_rest_or_note(self, nested: NestedList | OptionTiers) -> int:
        """One object's trouble is not that of its page; what concerns all of them is raised."""
        try:
            return self._fetch_rest(nested)
        except NOT_ABOUT_ONE_OBJECT:
            raise
        except ProviderError as error:
            nested.failure = str(error)
            return 1

    def _fetch_rest(self, nested: NestedList | OptionTiers) -> int:
        try:
            return self._fetch_pages(nested) if isinstance(nested, NestedList) else self._fetch_tiers(nested)
        except ObjectGoneError:
            nested.is_gone = True
            return 1

    def _fetch_tiers(self, nested: OptionTiers) -> int:
        """Stripe takes `currency_options.tiers` without complaint and ignores it: each currency has to be named.

        Whoever refuses that leaves these tiers unknown, and the price is whole without them.
        """
        named = [f"currency_options.{name}.tiers" for name in nested.currencies]
        requests = 0
        for at in range(0, len(named), EXPANSIONS_AT_ONCE):
            parameters = {"expand[]": ("currency_options", *named[at : at + EXPANSIONS_AT_ONCE])}
            path = f"/v1/prices/{quote(nested.object_id, safe='')}"
            requests += 1
            try:
                answer = self._transport.get(path, parameters, nested.operation, endpoint="one of prices")
            except RefusedRequestError as error:
                _log.info("%s", error)
                break
            nested.replace(answer.get("currency_options"))
        return requests

    def _fetch_pages(self, nested: NestedList) -> int:
        requests, restarts, cursor, items = 0, 0, nested.last_id, list(nested.items)
        paging = Paging(nested.operation, is_short=True)
        while True:
            parameters = nested.parameters if cursor is None else {**nested.parameters, "starting_after": cursor}
            requests += 1

            def get(expand: tuple[str, ...], asked: Mapping[str, Any] = parameters) -> dict[str, Any]:
                asked = {**asked, "expand[]": expand} if expand else asked
                return self._pages.get(nested.path, asked, nested.operation, endpoint=nested.endpoint)

            try:
                answer = self._expansions.get(nested.endpoint, nested.expand, get)
            except CursorLostError as error:
                restarts += 1
                if restarts > MOST_RESTARTS:
                    what = f"{nested.operation[:1].upper()}{nested.operation[1:]}"
                    raise ProviderUnavailableError(
                        f"{what} failed: the list kept changing. The next sync tries again."
                    ) from error
                # The item to go on from was taken out of the list, and perhaps others before it.
                cursor, items, paging = None, [], Paging(nested.operation, is_short=True)
                continue
            more = entries_of(answer, nested.operation)
            if isinstance(more[-1] if more else None, Unread):
                raise ProviderError(more[-1].reason)
            items += more
            cursor = paging.following(answer, more)
            if cursor is None:
                nested.replace(items)
                return requests

    def map_page(self, page: Page) -> MappedPage:
        """See `ProviderClient`."""
        mapped = map_objects(
            page.entity, page.objects, version=page.version, livemode=self._mode, coupons=self._coupons.known
        )
        mapped.incomplete = page.incomplete
        return mapped

    def now(self) -> float:
        """See `ProviderClient`."""
        return self._clock.earliest()


def _is_the_one(answer: Mapping[str, Any], entity: Entity, object_id: str) -> bool:
    return answer.get("id") == object_id and answer.get("object") in (None, OBJECT_NAMES[entity])


def _first_text(*values: Any) -> str | None:
    return next((str(storable(value)) for value in values if isinstance(value, str) and value), None)
