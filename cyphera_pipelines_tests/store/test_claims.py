"""Claims of sources that are due: by turns, never twice at once, and none forgotten."""

import random
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from uuid import UUID

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.sessions import SessionType, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.claims import (
    LISTINGS_OF_A_WORKSPACE,
    Claim,
    ClaimLostError,
    ClaimWalk,
    check_claim,
    claim_due,
    extend_claims,
    holds,
    mend_schedules,
    read_backlog,
    release_claims,
    seconds_until_due,
)
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import create_session
from cyphera_pipelines_tests.conftest import new_workspace
from cyphera_pipelines_tests.due_sources import make_due, put_aside, set_row


@pytest.fixture(autouse=True)
def only_ours(database: Database) -> Iterator[None]:
    """Whatever other tests connected is due in a year, and so is what these did, once they are over."""
    put_aside(database)
    yield
    put_aside(database)


def claim(database: Database, worker: UUID | None = None, limit: int = 100, per_workspace: int = 8) -> list[Claim]:
    return claim_due(database, worker or uuid.uuid4(), limit=limit, per_workspace=per_workspace, walk=ClaimWalk())


def test_a_source_is_claimed_once_until_its_lease_is_over(
    database: Database, add_source: Callable[..., Source]
) -> None:
    source = make_due(database, add_source("sk_test_claims_0001"), seconds=40)
    (first,) = claim(database)
    assert (first.workspace_id, first.provider) == (source.workspace_id, "stripe")
    assert 39 < first.waited < 100
    assert claim(database) == []
    set_row(database, source, lease_until="now() - interval '1 second'")
    (second,) = claim(database)
    assert second.number == first.number + 1
    assert not holds(database, first)
    with database.tenant(source.workspace_id) as connection, pytest.raises(ClaimLostError):
        check_claim(connection, first)
    with database.tenant(source.workspace_id) as connection:
        check_claim(connection, second)
    assert extend_claims(database, first.worker) == set()
    assert extend_claims(database, second.worker) == {(source.workspace_id, "stripe", second.number)}
    release_claims(database, [first])
    assert claim(database) == []
    release_claims(database, [second])
    assert len(claim(database)) == 1


def test_who_commits_under_a_claim_holds_up_the_next(database: Database, add_source: Callable[..., Source]) -> None:
    source = make_due(database, add_source("sk_test_claims_0002"))
    (first,) = claim(database)
    set_row(database, source, lease_until="now() - interval '1 second'")
    with database.tenant(source.workspace_id) as connection:
        check_claim(connection, first)
        assert claim(database) == []
    assert len(claim(database)) == 1


def test_a_lease_that_a_wrong_clock_wrote_is_over(database: Database, add_source: Callable[..., Source]) -> None:
    source = make_due(database, add_source("sk_test_claims_0003"))
    assert len(claim(database)) == 1
    set_row(database, source, lease_until="now() + interval '1 hour'")
    assert len(claim(database)) == 1


def test_what_is_due_much_too_late_is_due_within_its_period(
    database: Database, add_source: Callable[..., Source]
) -> None:
    source = make_due(database, add_source("sk_test_claims_0004"))
    set_row(database, source, due_at="now() + interval '2 hours'")
    assert mend_schedules(database) >= 1
    seconds = seconds_until_due(database)
    assert seconds is not None
    assert seconds <= 3_600


def test_sources_that_may_not_be_synced_are_left_out(database: Database, add_source: Callable[..., Source]) -> None:
    paused, active, running = (make_due(database, add_source(f"sk_test_claims_01{n}")) for n in range(3))
    set_row(database, paused, paused_at="now()", paused_kind="'person'")
    create_session(database, active, SessionType.DELTA_SYNC, SyncRequest())
    session = create_session(database, running, SessionType.DELTA_SYNC, SyncRequest())
    with database.control() as connection:
        connection.execute(
            text("UPDATE sync.payment_sync_sessions SET status = 'running' WHERE id = :id"), {"id": session.id}
        )
    assert claim(database) == []
    assert read_backlog(database, per_workspace=8).longest_wait is None
    with database.control() as connection:
        # Nothing was heard of its process for a while.
        connection.execute(
            text("UPDATE sync.payment_sync_sessions SET updated_at = now() - interval '21 s' WHERE id = :id"),
            {"id": session.id},
        )
    assert [found.workspace_id for found in claim(database)] == [running.workspace_id]


def test_what_is_wanted_comes_first_and_not_again_at_once(
    database: Database, add_source: Callable[..., Source]
) -> None:
    due = make_due(database, add_source("sk_test_claims_0021"), seconds=100)
    wanted = make_due(database, add_source("sk_test_claims_0022"), seconds=-1_000)
    never_listed = make_due(database, add_source("sk_test_claims_0023"), seconds=-1_000)
    set_row(database, wanted, wanted_at="now()", fresh_at="now()")
    set_row(database, never_listed, wanted_at="now()", fresh_at="NULL")
    (first,), (second,) = claim(database, limit=1), claim(database, limit=1)
    assert [first.workspace_id, second.workspace_id] == [wanted.workspace_id, due.workspace_id]
    # A worker that dies now leaves it due.
    set_row(database, wanted, claimed_by="NULL", lease_until="NULL")
    assert [found.workspace_id for found in claim(database)] == [wanted.workspace_id]
    set_row(
        database,
        wanted,
        claimed_by="NULL",
        lease_until="NULL",
        wanted_at="now()",
        checked_at="now()",
        due_at="now() + interval '1 hour'",
    )
    assert claim(database) == []
    set_row(database, wanted, checked_at="now() - interval '31 seconds'")
    assert [found.workspace_id for found in claim(database)] == [wanted.workspace_id]


def add_many(database: Database, workspace: Workspace, count: int, seconds: float, listing_due_in: float = 60) -> None:
    """Sources of one workspace without accounts; each with a provider of its own, as there may be many.

    They have been due for so many seconds, and are due to be listed anew in so many minutes.
    """
    values = {"workspace_id": workspace.id, "count": count, "seconds": seconds, "listing_due_in": listing_due_in}
    with database.control() as connection:
        for statement in (
            "INSERT INTO sync.workspace_payment_configurations (workspace_id, provider_name, is_active, is_test_mode, "
            "configuration) SELECT :workspace_id, 'p' || n, true, true, '' FROM generate_series(1, :count) AS n",
            "INSERT INTO sync.source_schedules (workspace_id, provider_name, due_at, listing_due_at) "
            "SELECT :workspace_id, 'p' || n, now() - make_interval(secs => :seconds), "
            "now() + make_interval(mins => CAST(:listing_due_in AS integer)) FROM generate_series(1, :count) AS n",
        ):
            connection.execute(text(statement), values)


def test_workspaces_take_turns_and_one_has_no_more_than_its_share(
    database: Database, workspace: Workspace, add_source: Callable[..., Source]
) -> None:
    add_many(database, workspace, 500, seconds=1_000)
    others = [make_due(database, add_source(f"sk_test_claims_03{n}"), seconds=1) for n in range(3)]
    worker = uuid.uuid4()
    claims = claim(database, worker, limit=20, per_workspace=4)
    assert sum(found.workspace_id == workspace.id for found in claims) == 4
    assert {found.workspace_id for found in claims} == {workspace.id, *(other.workspace_id for other in others)}
    assert claim(database, limit=20, per_workspace=4) == []
    # Whatever else of it is due is nothing to start a batch for.
    assert read_backlog(database, per_workspace=4).longest_wait is None
    assert read_backlog(database, per_workspace=5).longest_wait is not None


def test_listings_of_one_workspace_leave_room_for_those_of_others_in_all_batches(
    database: Database, workspace: Workspace, add_source: Callable[..., Source]
) -> None:
    add_many(database, workspace, 50, seconds=1_000, listing_due_in=0)
    first = claim(database, limit=100)
    assert [found.workspace_id for found in first] == [workspace.id] * LISTINGS_OF_A_WORKSPACE
    assert all(found.is_listing_due for found in first)
    assert claim(database) == []
    assert read_backlog(database, per_workspace=8).longest_wait is None
    other = make_due(database, add_source("sk_test_claims_0401"), seconds=1)
    assert read_backlog(database, per_workspace=8).longest_wait is not None
    assert [found.workspace_id for found in claim(database)] == [other.workspace_id]
    # The share of listings is a part of the workspace's share, and no more than that.
    with database.control() as connection:
        connection.execute(
            text(
                "UPDATE sync.source_schedules SET listing_due_at = now() + interval '1 hour', due_at = now() "
                "WHERE workspace_id = :id AND provider_name IN ('p41', 'p42', 'p43') AND claimed_by IS NULL"
            ),
            {"id": workspace.id},
        )
    changes = claim(database, per_workspace=4)
    assert len(changes) == 4 - LISTINGS_OF_A_WORKSPACE
    assert not any(found.is_listing_due for found in changes)
    release_claims(database, first)
    assert len(claim(database, limit=1)) == 1


@pytest.mark.slow
def test_however_workers_die_no_source_is_claimed_twice_at_once_and_none_is_forgotten(database: Database) -> None:
    """A hundred thousand claims by four workers at once, of which one in twenty is never heard of again."""
    workspaces = [new_workspace(database) for _ in range(20)]
    for workspace in workspaces:
        add_many(database, workspace, 100, seconds=1)
    held: dict[tuple[UUID, str], int] = {}
    numbers: dict[tuple[UUID, str], int] = {}
    done: dict[tuple[UUID, str], int] = {}
    lock, wanted = Lock(), 100_000

    def work(seed: int) -> None:
        chance, walk = random.Random(seed), ClaimWalk()
        while sum(numbers.values()) < wanted:
            claims = claim_due(database, uuid.uuid4(), limit=200, per_workspace=40, walk=walk)
            with lock:
                for found in claims:
                    source = (found.workspace_id, found.provider)
                    assert source not in held, "claimed twice at once"
                    held[source] = found.number
                    numbers[source] = numbers.get(source, 0) + 1
            dies = chance.random() < 0.05
            with lock:
                for found in claims:
                    del held[found.workspace_id, found.provider]
                    if not dies:
                        done[found.workspace_id, found.provider] = done.get((found.workspace_id, found.provider), 0) + 1
            if dies and claims:
                expired = "UPDATE sync.source_schedules SET lease_until = now() - interval '1 s' WHERE claimed_by = :w"
                with database.control() as connection:
                    connection.execute(text(expired), {"w": claims[0].worker})
            elif claims:
                with database.control() as connection:
                    connection.execute(
                        text(
                            "UPDATE sync.source_schedules SET claimed_by = NULL, lease_until = NULL, "
                            "due_at = clock_timestamp() WHERE claimed_by = :w"
                        ),
                        {"w": claims[0].worker},
                    )

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(work, range(4)))
    assert len(done) == 2_000
    fewest, most = min(done.values()), max(done.values())
    assert fewest * 3 > most, (fewest, most)
