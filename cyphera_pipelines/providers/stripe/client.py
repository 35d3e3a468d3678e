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
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.providers.base import (
    NOT_ABOUT_ONE_OBJECT,
    AccountNotOpenError,
    Change,
    ClientOptions,
    CreatedInterval,
    CursorLostError,
    MappedPage,
    ObjectGoneError,
    Page,
    ProviderAccount,
    ProviderError,
    ProviderUnavailableError,
    RefusedRequestError,
)
from cyphera_pipelines.providers.stripe.access import own_account_id
from cyphera_pipelines.providers.stripe.changes import ChangeReader, changes_of, event_type_groups
from cyphera_pipelines.providers.stripe.clock import just_after, just_before
from cyphera_pipelines.providers.stripe.errors import UnreadableBodyError
from cyphera_pipelines.providers.stripe.keys import is_test_key
from cyphera_pipelines.providers.stripe.mapping import map_objects
from cyphera_pipelines.providers.stripe.nested import NestedList, OptionTiers, unfinished_lists, untold_tiers
from cyphera_pipelines.providers.stripe.page_size import PageSize
from cyphera_pipelines.providers.stripe.transport import Parameters, StripeTransport

_log = logging.getLogger(__name__)

PAGE_LIMIT = 100
EXPANSIONS_AT_ONCE = 15
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
        self._known_test_clocks: list[str] | None = None
        self._test_clocks_lock = threading.Lock()
        self._page_sizes = {entity: PageSize() for entity in Entity}
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
        profile = account.get("business_profile") or {}
        dashboard = (account.get("settings") or {}).get("dashboard") or {}
        created = account.get("created")
        return ProviderAccount(
            id=str(account.get("id")),
            name=dashboard.get("display_name") or profile.get("name") or account.get("email"),
            livemode=self._livemode,
            country=account.get("country"),
            default_currency=account.get("default_currency"),
            created=datetime.fromtimestamp(created, UTC) if isinstance(created, int) else None,
        )

    def check_readable(self, entity: Entity) -> None:
        """See `ProviderClient`."""
        path, operation = f"/v1/{entity.value}", f"listing {entity.value}"
        self._transport.get(path, {"limit": 1}, operation, endpoint=entity.value, entity=entity)

    def check_events_readable(self) -> None:
        """See `ProviderClient`."""
        self._transport.get("/v1/events", {"limit": 1}, "listing provider events", endpoint="events")

    def list_page(self, entity: Entity, *, interval: CreatedInterval, cursor: str | None, limit: int) -> Page:
        """See `ProviderClient`. Where pages keep arriving cut off, smaller ones are asked for, for a while."""
        size, wanted = self._page_sizes[entity], limit
        while True:
            asked = size.at_most(wanted)
            try:
                page = self._list_page(entity, interval, cursor, asked)
            except UnreadableBodyError:
                if asked == 1:
                    raise
                size.cut_off(asked)
                # For this very page, whatever size gets through elsewhere meanwhile.
                wanted = asked // 2
            else:
                size.arrived(asked, limit)
                return page

    def _list_page(self, entity: Entity, interval: CreatedInterval, cursor: str | None, limit: int) -> Page:
        parameters: dict[str, Any] = {"limit": limit, **_LIST_PARAMETERS.get(entity, {})}
        if interval.gte is not None:
            parameters["created[gte]"] = interval.gte
        if interval.lt is not None:
            parameters["created[lt]"] = interval.lt
        if cursor is not None:
            parameters["starting_after"] = cursor
        version = just_before(self.now())
        operation = f"listing {entity.value}"
        path = f"/v1/{entity.value}"
        answer = self._transport.get(path, parameters, operation, endpoint=entity.value, entity=entity)
        objects = _data_of(answer, operation)
        has_more = _next_cursor(answer, objects, operation) is not None
        return Page(entity, objects, has_more, version)

    def list_unlisted(self, entity: Entity) -> Iterator[Page] | None:
        """See `ProviderClient`: what belongs to test clocks, which are there in test mode only."""
        if self._livemode or entity not in _LISTED_BY_TEST_CLOCK:
            return None
        return self._list_of_test_clocks(entity)

    def _list_of_test_clocks(self, entity: Entity) -> Iterator[Page]:
        for clock in self._test_clocks():
            version, operation = just_before(self.now()), f"listing the {entity.value} of test clock {clock}"
            parameters = {**_LIST_PARAMETERS.get(entity, {}), "test_clock": clock}
            for objects in self._pages(f"/v1/{entity.value}", parameters, operation, entity):
                yield Page(entity, objects, has_more=False, version=version)

    def _test_clocks(self) -> list[str]:
        """The ids of the account's test clocks, asked for once."""
        with self._test_clocks_lock:
            if self._known_test_clocks is None:
                operation, ids = "listing test clocks", list[str]()
                for clock in chain.from_iterable(self._pages(_TEST_CLOCKS, {}, operation, None)):
                    clock_id = clock.get("id") if isinstance(clock, dict) else None
                    if not isinstance(clock_id, str):
                        raise ProviderError(f"Stripe's answer to {operation} holds something without an id.")
                    ids.append(clock_id)
                self._known_test_clocks = ids
            return self._known_test_clocks

    def _pages(
        self, path: str, parameters: Mapping[str, Any], operation: str, entity: Entity | None
    ) -> Iterator[list[dict[str, Any]]]:
        """A short list's pages, one after the other."""
        cursor: str | None = None
        while True:
            asked: dict[str, Any] = {"limit": PAGE_LIMIT, **parameters}
            if cursor is not None:
                asked["starting_after"] = cursor
            endpoint = "test clocks" if entity is None else entity.value
            answer = self._transport.get(path, asked, operation, endpoint=endpoint, entity=entity)
            objects = _data_of(answer, operation)
            yield objects
            following = _next_cursor(answer, objects, operation)
            if following is None:
                return
            if following == cursor:
                raise ProviderError(f"Stripe's pages of {operation} do not come to an end.")
            cursor = following

    def changes(self, entities: Sequence[Entity], since: int) -> Iterator[list[Change]]:
        """See `ProviderClient`."""
        for types in event_type_groups(entities):
            reader, cursor = ChangeReader(), None
            while True:
                parameters: dict[str, Any] = {"limit": PAGE_LIMIT, "created[gte]": since, "types[]": types}
                if cursor is not None:
                    parameters["starting_after"] = cursor
                operation = "listing provider events"
                answer = self._transport.get("/v1/events", parameters, operation, endpoint="events")
                events = _data_of(answer, operation)
                cursor = _next_cursor(answer, events, operation)
                certain = list(reader.read(events))
                yield certain if cursor is not None else [*certain, *reader.rest()]
                if cursor is None:
                    break

    def changes_of(self, events: Sequence[Mapping[str, Any]]) -> list[Change]:
        """See `ProviderClient`."""
        return changes_of(events)

    def fetch(self, change: Change) -> Page:
        """See `ProviderClient`."""
        entity, object_id = change.entity, change.object_id
        version = max(just_before(self.now()), just_after(change.version))
        path, operation = f"/v1/{entity.value}/{quote(object_id, safe='')}", f"reading {object_id} of {entity.value}"
        try:
            answer = self._transport.get(
                path, _READ_PARAMETERS.get(entity, {}), operation, endpoint=f"one of {entity.value}", entity=entity
            )
        except ObjectGoneError:
            answer = {"deleted": True}
        objects = [] if answer.get("deleted") is True else [answer]
        return Page(entity, objects, has_more=False, version=version)

    def complete(self, page: Page) -> int:
        """See `ProviderClient`. An object that vanishes meanwhile leaves the page."""
        lists: list[NestedList | OptionTiers] = []
        for obj in page.objects:
            lists += unfinished_lists(page.entity, obj)
            lists += untold_tiers(page.entity, obj)
        requests = sum(self._nested_fetches.map(self._fetch_rest_or_note, lists))
        gone = {nested.object_id for nested in lists if nested.is_gone}
        failed = {nested.object_id: nested.failure for nested in lists if nested.failure is not None}
        for obj in page.objects if failed else ():
            failure = failed.get(str(obj.get("id")))
            if failure is not None:
                page.incomplete.append(UnmappableObject(obj["id"], failure, obj))
        if gone or failed:
            page.objects = [obj for obj in page.objects if obj.get("id") not in gone | failed.keys()]
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
        while True:
            parameters: dict[str, Any] = {"limit": PAGE_LIMIT, **nested.parameters}
            if cursor is not None:
                parameters["starting_after"] = cursor
            requests += 1
            try:
                answer = self._transport.get(quote(nested.path), parameters, nested.operation, endpoint=nested.endpoint)
            except CursorLostError as error:
                restarts += 1
                if restarts > MOST_RESTARTS:
                    raise ProviderUnavailableError(
                        f"The list kept changing during {nested.operation}. The next sync tries again."
                    ) from error
                # The item to go on from was taken out of the list, and perhaps others before it.
                cursor, items = None, []
                continue
            more = _data_of(answer, nested.operation)
            items += more
            cursor = _next_cursor(answer, more, nested.operation)
            if cursor is None:
                nested.replace(items)
                return requests

    def map_page(self, page: Page) -> MappedPage:
        """See `ProviderClient`."""
        mapped = map_objects(page.entity, page.objects, version=page.version, default_livemode=self._livemode)
        mapped.incomplete = page.incomplete
        return mapped

    def now(self) -> float:
        """See `ProviderClient`."""
        return self._transport.clock.now()


def _data_of(answer: dict[str, Any], operation: str) -> list[dict[str, Any]]:
    data = answer.get("data")
    if not isinstance(data, list):
        raise ProviderError(f"Stripe's answer to {operation} is not a list.")
    return data


def _next_cursor(answer: dict[str, Any], objects: list[dict[str, Any]], operation: str) -> str | None:
    """Where the next page starts. More pages without an id to go on from are an error: nothing is lost in silence."""
    if not answer.get("has_more"):
        return None
    last = objects[-1] if objects else None
    last_id = last.get("id") if isinstance(last, dict) else None
    if not isinstance(last_id, str) or not last_id:
        raise ProviderError(f"Stripe says that {operation} has more pages, but the last object of this one has no id.")
    return last_id
