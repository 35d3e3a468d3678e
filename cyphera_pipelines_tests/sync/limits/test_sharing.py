"""Processes that share an account's limits through Postgres; here each is a connection pool and limits of its own."""

import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from sqlalchemy import event, text

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store import request_shares
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.request_shares import Opening, Wish, leave, tell_wishes
from cyphera_pipelines.sync.limits import account
from cyphera_pipelines.sync.limits.account import AccountLimits
from cyphera_pipelines.sync.limits.sharing import share_limits
from cyphera_pipelines_tests.conftest import new_workspace
from cyphera_pipelines_tests.receiver import wait_for

PUBLISHED = RateLimits(account=25, endpoint=25)
ADDRESS = "api.example.com"
WITHIN = 90.0


class Process:
    """What one process has: connections and limits, at one account."""

    def __init__(self, database: Database, opening: Opening) -> None:
        self.database, self.limits = database, AccountLimits(PUBLISHED)
        share_limits(database, self.limits, opening)

    @property
    def rate(self) -> float:
        return self.limits.own_rate_of("invoices")

    def want_to_read(self) -> None:
        """As many at once as a sync has waiting."""
        for _ in range(20):
            self.limits.turn("invoices").seconds_left()

    def write(self) -> None:
        with self.limits.turn("invoices", is_write=True) as turn:
            turn.seconds_left()


Begin = Callable[[Opening], Process]


@pytest.fixture(autouse=True)
def nobody_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a busy machine takes between two statements."""
    monkeypatch.setattr(request_shares, "FORGOTTEN_AFTER", 600)


@pytest.fixture
def begin(settings: Settings) -> Iterator[Begin]:
    opened = list[Database]()

    def open_one(opening: Opening) -> Process:
        opened.append(open_database(settings, pool_size=1))
        return Process(opened[-1], opening)

    yield open_one
    for each in opened:
        each.close()


def opening_of(workspace: Workspace, key: str | None = None, provider: str = "stripe") -> Opening:
    return Opening(workspace.id, provider, ADDRESS, (key or uuid4().hex).encode())


def synced(database: Database, opening: Opening, account_id: str, *, livemode: bool = False) -> Opening:
    """As if a sync had found out which account it is."""
    statement = text(
        "INSERT INTO sync.synced_accounts (workspace_id, provider_name, livemode, account_id, key_digest) "
        "VALUES (:workspace_id, :provider, :livemode, :account_id, :digest)"
    )
    values = {"workspace_id": opening.workspace_id, "provider": opening.provider, "digest": opening.key_digest}
    with database.control() as connection:
        connection.execute(statement, {**values, "livemode": livemode, "account_id": account_id})
    return opening


def wish(opening: Opening, reads: float = 5.0) -> Wish:
    return Wish(uuid4(), opening, {"": (reads, 0.0)})


def hears(database: Database, one: Opening, other: Opening) -> bool:
    """Whether who opened an account one way hears of who opened it the other way."""
    first, second = wish(one), wish(other)
    tell_wishes(database, [first])
    heard = tell_wishes(database, [second])
    leave(database, [first.participant, second.participant])
    return bool(heard[second.participant])


def test_a_reader_leaves_room_for_who_writes(begin: Begin, workspace: Workspace) -> None:
    opening = opening_of(workspace)
    reader, writer = begin(opening), begin(opening)
    reader.want_to_read()
    assert reader.rate == PUBLISHED.account

    def has_given_way() -> bool:
        writer.write()
        return reader.rate < 0.97 * PUBLISHED.account

    wait_for(has_given_way, within=WITHIN)
    assert writer.rate >= 0.9 * PUBLISHED.account


def test_readers_share_and_who_is_left_alone_has_everything_again(begin: Begin, workspace: Workspace) -> None:
    opening = opening_of(workspace)
    one, other = begin(opening), begin(opening)
    one.want_to_read()
    other.want_to_read()
    wait_for(lambda: one.rate == other.rate == PUBLISHED.account / 2, within=WITHIN)
    other.database.close()
    wait_for(lambda: one.rate == PUBLISHED.account, within=WITHIN)


def test_who_died_is_forgotten(begin: Begin, database: Database, workspace: Workspace) -> None:
    opening = opening_of(workspace)
    one, killed = begin(opening), wish(opening, reads=25.0)
    tell_wishes(database, [killed])
    one.want_to_read()
    wait_for(lambda: one.rate == PUBLISHED.account / 2, within=WITHIN)
    # As the database's clock sees it; nothing is heard of it any more.
    with database.control() as connection:
        connection.execute(
            text("UPDATE sync.request_shares SET until = now() WHERE participant = :id"), {"id": killed.participant}
        )
    wait_for(lambda: one.rate == PUBLISHED.account, within=WITHIN)
    leave(database, [killed.participant])


def test_who_hears_nothing_any_more_goes_on_by_itself(
    begin: Begin, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = opening_of(workspace)
    one, other = begin(opening), begin(opening)
    one.want_to_read()
    other.want_to_read()
    wait_for(lambda: one.rate == PUBLISHED.account / 2, within=WITHIN)
    monkeypatch.setattr(account, "OTHERS_ARE_KNOWN_FOR", 0.2)
    # The only connection there is: whoever looks waits for it.
    with one.database.control():

        def is_alone() -> bool:
            one.limits.turn("invoices").seconds_left()
            return one.rate == PUBLISHED.account

        wait_for(is_alone, within=WITHIN)


def test_nobody_waits_for_the_database(begin: Begin, workspace: Workspace) -> None:
    process = begin(opening_of(workspace))
    with process.database.control(), process.limits.turn("invoices") as turn:
        assert turn.seconds_left() == 0


def test_requests_cost_no_statements(begin: Begin, workspace: Workspace) -> None:
    process, statements = begin(opening_of(workspace)), list[str]()
    event.listen(
        process.database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]), named=False
    )
    began, made = time.monotonic(), 0
    while made < 60:
        with process.limits.turn("invoices") as turn:
            while (left := turn.seconds_left()) > 0:
                threading.Event().wait(left)
            made += 1
    took = time.monotonic() - began
    assert any("request_shares" in each for each in statements), "it was told"
    assert len(statements) <= 2 + 2 * took


def test_an_account_is_one_whichever_key_and_workspace_opens_it(database: Database, workspace: Workspace) -> None:
    another = new_workspace(database)
    one = synced(database, opening_of(workspace), "acct_shared")
    assert hears(database, one, synced(database, opening_of(another), "acct_shared"))
    assert not hears(database, one, synced(database, opening_of(new_workspace(database)), "acct_other"))


def test_the_modes_of_an_account_have_limits_of_their_own(database: Database, workspace: Workspace) -> None:
    one = synced(database, opening_of(workspace), "acct_modes")
    live = synced(database, opening_of(new_workspace(database)), "acct_modes", livemode=True)
    assert not hears(database, one, live)


def test_a_key_whose_account_is_not_known_yet_shares_with_itself_alone(
    database: Database, workspace: Workspace
) -> None:
    unknown = opening_of(workspace, "one key")
    assert hears(database, unknown, opening_of(new_workspace(database), "one key"))
    assert not hears(database, unknown, opening_of(workspace, "another key"))
    assert not hears(database, unknown, opening_of(workspace, "one key", provider="another"))


def test_what_is_told_needs_no_disk(database: Database) -> None:
    with database.control() as connection:
        persistence = connection.execute(
            text("SELECT relpersistence FROM pg_class WHERE oid = 'sync.request_shares'::regclass")
        ).scalar_one()
    assert persistence == "u"
