"""Listed pages, provider events, fetched objects and deletions may arrive in any order, and more than once."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import orjson
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject
from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import PRODUCTS
from cyphera_pipelines.providers.http.clock import just_after, just_before
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.loader import load
from cyphera_pipelines.store.tables import synced_tables
from cyphera_pipelines.store.tombstones import TimeSpan, tombstone_missing, tombstone_object
from cyphera_pipelines.sync.changes import NEVER

PRODUCT_IDS = ("a", "b", "c")
State = str | None  # None: it does not exist


@dataclass(frozen=True)
class Happening:
    """At `at`, in seconds, the object took this state at the provider."""

    at: float
    object_id: str
    state: State


@dataclass(frozen=True)
class History:
    """All that happened at the provider, in order, from a beginning of which there are no events any more."""

    beginning: dict[str, State]
    happenings: list[Happening]

    def state(self, object_id: str, at: float) -> State:
        """What the provider would have answered at that moment."""
        states = [happening.state for happening in self.happenings if _is(happening, object_id) and happening.at <= at]
        return states[-1] if states else self.beginning[object_id]

    def live(self, at: float) -> dict[str, str]:
        """Every object that existed at that moment."""
        states = {object_id: self.state(object_id, at) for object_id in PRODUCT_IDS}
        return {object_id: state for object_id, state in states.items() if state is not None}


def _is(happening: Happening, object_id: str) -> bool:
    return happening.object_id == object_id


@dataclass(frozen=True)
class Page:
    """The whole listing as it was at `answered`, asked for at `asked`."""

    asked: float
    answered: float

    def write(self, connection: Connection, source: Source, history: History) -> None:
        live, version = history.live(self.answered), just_before(self.asked)
        objects = [product(object_id, state, version) for object_id, state in live.items()]
        load(connection, source, Entity.PRODUCTS, objects)
        tombstone_missing(
            connection,
            source,
            Entity.PRODUCTS,
            TimeSpan("created", None, None),
            list(live),
            livemode=False,
            version=version,
            unlisted_with=None,
        )


@dataclass(frozen=True)
class ProviderEvent:
    """The object's only event of a second: it tells the state, or that the object is gone."""

    happening: Happening

    def write(self, connection: Connection, source: Source, _history: History) -> None:
        object_id, version = self.happening.object_id, float(int(self.happening.at))
        if self.happening.state is not None:
            state = product(object_id, self.happening.state, version)
            load(connection, source, Entity.PRODUCTS, [state], confirms=True)
            return
        bury(connection, source, object_id, version)


@dataclass(frozen=True)
class Fetch:
    """Several events of one second do not tell which came last: the object is fetched at `at`."""

    object_id: str
    second: int
    at: float

    def write(self, connection: Connection, source: Source, history: History) -> None:
        state = history.state(self.object_id, self.at)
        version = max(just_before(self.at), just_after(self.second))
        if state is not None:
            load(connection, source, Entity.PRODUCTS, [product(self.object_id, state, version)], confirms=True)
        else:
            bury(connection, source, self.object_id, version)


Write = Page | ProviderEvent | Fetch


def bury(connection: Connection, source: Source, object_id: str, version: float) -> None:
    last_known = product(object_id, "as its event told it", NEVER)
    load(connection, source, Entity.PRODUCTS, [last_known], ConflictStrategy.SKIP)
    tombstone_object(connection, source, Entity.PRODUCTS, object_id, livemode=False, version=version)


def product(object_id: str, state: str, version: float) -> MappedObject:
    raw = orjson.dumps({"id": object_id, "name": state})
    values = tuple(state if column.name == "name" else 1 if column.required else None for column in PRODUCTS.columns)
    return MappedObject(object_id, False, values, raw, hashlib.md5(raw, usedforsecurity=False).digest(), version)


# Few states, so that one comes back after another; moments on a fine grid within a few seconds, so that seconds are
# shared, but no two things happen at once: at the provider one of them came first.
states = st.sampled_from(["A", "B", "C", None])
ticks = st.integers(0, 59)
seconds_later = st.floats(0, 2.5, allow_nan=False)


@st.composite
def histories(draw: st.DrawFn) -> History:
    beginning = {object_id: draw(states) for object_id in PRODUCT_IDS}
    moments = sorted(draw(st.sets(ticks, max_size=12)))
    happenings, now = [], dict(beginning)
    for moment in moments:
        object_id, state = draw(st.sampled_from(PRODUCT_IDS)), draw(states)
        if state != now[object_id]:
            happenings.append(Happening(1_000 + moment / 10, object_id, state))
            now[object_id] = state
    return History(beginning, happenings)


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[History, list[Write]]:
    """A history, and everything that is read of it: in any order, some of it again."""
    history = draw(histories())
    writes: list[Write] = []
    for asked in draw(st.lists(ticks, min_size=1, max_size=4)):
        moment = 1_000 + asked / 10 + 0.05
        writes.append(Page(moment, moment + draw(seconds_later)))
    for object_id in PRODUCT_IDS:
        of_object = [happening for happening in history.happenings if _is(happening, object_id)]
        for second, group in groupby(of_object, key=lambda happening: int(happening.at)):
            together = list(group)
            if len(together) == 1:
                writes.append(ProviderEvent(together[0]))
            else:
                writes.append(Fetch(object_id, second, together[-1].at + draw(seconds_later)))
    repeated = draw(st.lists(st.sampled_from(writes), max_size=4))
    return history, draw(st.permutations([*writes, *repeated]))


@pytest.fixture
def source(add_source: Callable[..., Source]) -> Source:
    return add_source("sk_test_write_order")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(arrivals())
def test_any_order_of_arrival_ends_in_the_same_rows(
    database: Database, source: Source, arrived: tuple[History, list[Write]]
) -> None:
    history, writes = arrived
    table = synced_tables["products"]
    with database.control() as connection:
        connection.execute(delete(table).where(table.c.workspace_id == source.workspace_id))
    _note(history, writes)
    for write in writes:
        with database.tenant(source.workspace_id) as connection:
            write.write(connection, source, history)
    with database.tenant(source.workspace_id) as connection:
        rows = connection.execute(select(table.c.id, table.c.name).where(table.c.deleted_at.is_(None)))
        assert {row.id: row.name for row in rows} == history.live(at=math.inf)


def _note(history: History, writes: Sequence[Write]) -> None:
    """For `--hypothesis-show-statistics`: the cases that matter do come up."""
    event(f"something is deleted: {any(happening.state is None for happening in history.happenings)}")
    event(f"something is fetched: {any(isinstance(write, Fetch) for write in writes)}")
