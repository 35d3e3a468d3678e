"""Whatever JSON stands in any field of any object, event or account: it is loaded, named or owed, and the rest goes on.

Through the real client over HTTP into the real tables.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.http import exchange
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.cursors import read_positions
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import page_events
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines_tests.hostile import HostileProvider
from cyphera_pipelines_tests.hostile.account import COUPONS, ENTITIES, HonestAccount
from cyphera_pipelines_tests.hostile.odd_values import ODD_VALUES, TOO_DEEP, Path, paths_in, replaced
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import live_rows

HONEST = HonestAccount()
KINDS = (*ENTITIES, COUPONS)
PLACES = {name: [sorted(paths_in(obj), key=len) for obj in HONEST.objects[name]] for name in KINDS}
TERMS: dict[str, frozenset[str]] = {
    COUPONS: frozenset(),
    "customers": frozenset({"discount", "tax_ids"}),
    "subscriptions": frozenset({"discounts", "default_tax_rates", "tax_rates"}),
    "invoices": frozenset({"discounts", "total_discount_amounts", "discount_amounts", "taxes", "payments"}),
}
"""Where in objects discounts, taxes and payments stand; of coupons everywhere."""
# A failing example takes minutes to shrink: each is two syncs.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
FAST = settings(max_examples=6, phases=PHASES, suppress_health_check=list(HealthCheck))
LONG = settings(FAST, max_examples=300)


@dataclass(frozen=True)
class Oddity:
    """An odd value somewhere in the so-manieth object of a kind."""

    kind: str
    at: int
    path: Path
    value: Any

    def apply(self, objects: list[Any]) -> None:
        if self.path in set(paths_in(objects[self.at])):
            objects[self.at] = replaced(objects[self.at], self.path, self.value)


@st.composite
def oddities(draw: st.DrawFn) -> Oddity:
    kind = draw(st.sampled_from(ENTITIES))
    at = draw(st.integers(0, len(PLACES[kind]) - 1))
    # Short ways are tried as often as long ones, of which there are many.
    depth = draw(st.integers(0, max(map(len, PLACES[kind][at]))))
    path = draw(st.sampled_from([path for path in PLACES[kind][at] if len(path) == depth]))
    return Oddity(kind, at, path, draw(ODD_VALUES))


@st.composite
def oddities_of_terms(draw: st.DrawFn) -> Oddity:
    """In a coupon, or in what stands in other objects of discounts, taxes and payments."""
    kind = draw(st.sampled_from(sorted(TERMS)))
    at = draw(st.integers(0, len(PLACES[kind]) - 1))
    paths = [path for path in PLACES[kind][at] if kind == COUPONS or TERMS[kind].intersection(path)]
    assume(paths)
    return Oddity(kind, at, draw(st.sampled_from(paths)), draw(ODD_VALUES))


@pytest.fixture(scope="module")
def provider() -> Iterator[HostileProvider]:
    with HostileProvider() as running, pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "LONGEST_WAIT", 0.02)
        yield running


@dataclass
class Checked:
    """Syncs of one source, and what must be true of each."""

    provider: HostileProvider
    source: Source
    database: Database
    sync_now: RunSync

    def sync(self, **request: Any) -> SyncOutcome:
        outcome = self.sync_now(self.source, **request)
        summary = outcome.error_summary
        assert outcome.status in (SessionStatus.COMPLETED, SessionStatus.PARTIAL), summary
        assert "error of ours" not in str(summary)
        return outcome

    def left_out(self, outcome: SyncOutcome) -> list[str]:
        """Objects without a row that no event of the session names and that are not owed either."""
        workspace, session = self.source.workspace_id, outcome.session.id
        events, _total = page_events(self.database, workspace, session, limit=1_000, offset=0)
        positions = read_positions(self.database, self.source, livemode=False)
        left_out = []
        for entity in Entity:
            about = [event for event in events if event.entity_type == entity.value]
            named = {event.external_id for event in about} | set(positions[entity].owed)
            known = named | live_rows(self.database, self.source, entity.value).keys()
            without_id = sum(event.external_id is None for event in about if event.event_type == "row_unmappable")
            for obj in self.provider.account.objects[entity.value]:
                object_id = obj.get("id") if isinstance(obj, dict) else None
                if is_usable_id(object_id):
                    left_out += [] if object_id in known else [f"{entity.value} {object_id}"]
                elif not (isinstance(object_id, str) and object_id):
                    without_id -= 1
            left_out += [f"{-without_id} of {entity.value} without an id"] if without_id < 0 else []
        return left_out

    def rows(self) -> dict[str, set[str]]:
        return {name: set(live_rows(self.database, self.source, name)) for name in ENTITIES}


def check_objects(checked: Checked, odd: list[Oddity], account: Any) -> None:
    served = checked.provider.account
    served.objects, served.account = copy.deepcopy(HONEST.objects), account
    for oddity in odd:
        oddity.apply(served.objects[oddity.kind])
    first = checked.sync()
    assert checked.left_out(first) == []
    touched = {(oddity.kind, oddity.at) for oddity in odd}
    rows = checked.rows()
    for name in ENTITIES:
        untouched = {obj["id"] for at, obj in enumerate(HONEST.objects[name]) if (name, at) not in touched}
        assert untouched <= rows[name]
    second = checked.sync(full_sync=True)
    assert (second.status, checked.rows()) == (first.status, rows)
    assert checked.left_out(second) == []


def check_events(checked: Checked, odd: list[tuple[Oddity, Any]]) -> None:
    """A delta that is told of odd changes beside a plain one, twice."""
    served = checked.provider.account
    served.objects, served.events, served.account = copy.deepcopy(HONEST.objects), [], HONEST.account
    checked.sync()
    for oddity, field_of_event in odd:
        obj = replaced(HONEST.objects[oddity.kind][oddity.at], oddity.path, oddity.value)
        event = served.tell(oddity.kind, obj)
        path, value = field_of_event
        if path in set(paths_in(event)):
            served.events[0] = replaced(event, path, value)
    plain = served.change("products", 1, name="Renamed")
    before = checked.rows()
    statuses = {checked.sync(only_changes=True).status for _each in range(2)}
    assert len(statuses) == 1
    renamed = live_rows(checked.database, checked.source, "products")[plain["data"]["object"]["id"]]
    assert renamed["name"] == "Renamed"
    gone = {name: before[name] - rows for name, rows in checked.rows().items()}
    assert not any(gone.values()), "an odd event deletes nothing"


EVENT_FIELDS: list[Path] = [
    (),
    *((name,) for name in ("id", "created", "type", "livemode", "data", "api_version", "account")),
]
EVENT_ODDITIES = st.lists(st.tuples(oddities(), st.tuples(st.sampled_from(EVENT_FIELDS), ODD_VALUES)), max_size=4)
ACCOUNTS = st.just(HONEST.account) | ODD_VALUES | ODD_VALUES.map(lambda value: {**HONEST.account, "settings": value})


@pytest.fixture
def check(
    provider: HostileProvider,
    add_source: Callable[..., Source],
    database: Database,
    keyring: Keyring,
    sync_now: RunSync,
) -> Callable[[], Checked]:
    """A source that was never synced, each time."""
    return lambda: Checked(provider, add_source(HONEST.api_key, provider.url), database, sync_now)


@FAST
@example([Oddity("customers", 3, (), None), Oddity("invoices", 2, ("created",), 10**400)], HONEST.account)
@example([Oddity("invoices", 1, ("metadata",), TOO_DEEP), Oddity("products", 0, ("id",), "a\x00b")], [])
@example([Oddity("subscriptions", 0, ("items",), TOO_DEEP), Oddity("prices", 0, (), [])], {"id": 5})
@example([Oddity("customers", 0, ("created",), 5), Oddity("customers", 11, ("created",), 2**40)], HONEST.account)
@example([Oddity("subscriptions", 3, (), TOO_DEEP)], HONEST.account)
@given(st.lists(oddities(), min_size=1, max_size=6), ACCOUNTS)
def test_odd_objects_are_loaded_named_or_owed(check: Callable[[], Checked], odd: list[Oddity], account: Any) -> None:
    check_objects(check(), odd, account)


@FAST
@example([Oddity(COUPONS, 0, (), None), Oddity(COUPONS, 20, ("percent_off",), "much")], HONEST.account)
@example([Oddity(COUPONS, at, ("id",), TOO_DEEP) for at in range(12)], HONEST.account)
@example([Oddity("customers", 2, ("tax_ids", "data"), {}), Oddity("customers", 1, ("discount",), 7)], HONEST.account)
@example([Oddity("subscriptions", 2, ("discounts",), [None]), Oddity("invoices", 0, ("payments",), [])], HONEST.account)
@given(st.lists(oddities_of_terms(), min_size=1, max_size=8), st.just(HONEST.account))
def test_odd_terms_are_loaded_named_or_owed(check: Callable[[], Checked], odd: list[Oddity], account: Any) -> None:
    """Coupons, discounts, tax rates, tax ids and payments."""
    check_objects(check(), odd, account)


@FAST
@example([(Oddity("customers", 0, (), None), ((), {}))])
@example([(Oddity("customers", 0, ("name",), "new"), (("created",), 4_102_444_800))])
@given(EVENT_ODDITIES)
def test_odd_events_are_named_or_fetched(check: Callable[[], Checked], odd: list[tuple[Oddity, Any]]) -> None:
    check_events(check(), odd)


@pytest.mark.slow
@LONG
@given(st.lists(oddities(), min_size=1, max_size=8), ACCOUNTS)
def test_many_odd_objects(check: Callable[[], Checked], odd: list[Oddity], account: Any) -> None:
    check_objects(check(), odd, account)


@pytest.mark.slow
@LONG
@given(st.lists(oddities_of_terms(), min_size=1, max_size=8), st.just(HONEST.account))
def test_many_odd_terms(check: Callable[[], Checked], odd: list[Oddity], account: Any) -> None:
    check_objects(check(), odd, account)


@pytest.mark.slow
@LONG
@given(EVENT_ODDITIES)
def test_many_odd_events(check: Callable[[], Checked], odd: list[tuple[Oddity, Any]]) -> None:
    check_events(check(), odd)
