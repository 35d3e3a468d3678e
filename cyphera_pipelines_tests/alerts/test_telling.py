"""What is told of which source, to whom, and how often."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.alert_channels import DeliveryState
from cyphera_pipelines.model.alerts import AlertCause
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.alert_deliveries import list_deliveries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.purges import complete_purge, delete_rows_of, request_purge
from cyphera_pipelines.store.schedules import SyncResult
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.alerts.conftest import Watch, fail, kinds, succeed
from cyphera_pipelines_tests.receiver import Receiver
from cyphera_pipelines_tests.store.test_schedules import note

Sources = Callable[[int], list[Source]]


def test_a_failure_is_told_once_and_its_end_once(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    (source,) = sources(1)
    watch.channel(receiver.url, only=[source])
    fail(database, source, message="The provider says no.")
    for _ in range(3):
        watch.look()
    fail(database, source)
    watch.look()
    (told,) = (each.event for each in receiver.received)
    assert (told["kind"], told["alert"]["source"], told["alert"]["cause"]) == ("alert", source.key, "failed")
    assert told["title"] == f"{source.key}: failed"
    assert told["sentence"].startswith("1 sync in a row failed since ")
    assert told["sentence"].endswith(": The provider says no.")
    assert told["remedy"] == f"Try the connection: cyphera source test {source.workspace_slug} stripe"
    succeed(database, source)
    for _ in range(3):
        watch.look()
    assert kinds(receiver) == ["alert", "all_clear"]
    clear = receiver.received[-1].event
    assert (clear["alert"]["id"], clear["alert"]["ended_because"]) == (told["alert"]["id"], "recovered")


@pytest.mark.parametrize(("count", "messages"), [(10, ["alert"] * 10), (11, ["digest"])])
def test_ten_sources_are_told_one_by_one_and_eleven_in_one_message(
    count: int, messages: list[str], database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    affected = sources(count)
    watch.channel(receiver.url, only=affected)
    fail(database, *affected)
    watch.look()
    watch.look()
    assert kinds(receiver) == messages
    succeed(database, *affected)
    watch.look()
    watch.look()
    assert kinds(receiver)[len(messages) :] == [f"{each}_all_clear".replace("alert_all", "all") for each in messages]


def test_an_outage_is_one_message_whoever_joins_and_recovers_meanwhile(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    affected = sources(24)
    watch.channel(receiver.url, only=affected)
    fail(database, *affected[:8])
    watch.look()
    assert kinds(receiver) == ["alert"] * 8
    fail(database, *affected[8:20])
    watch.look()
    assert kinds(receiver)[8:] == ["digest"], "it stands for the first eight too"
    assert receiver.received[-1].event["digest"]["sources"] == 20
    fail(database, *affected[20:])
    succeed(database, *affected[:3])
    watch.look()
    succeed(database, *affected[3:23])
    watch.look()
    assert len(receiver.received) == 9, "nothing is news before the last has recovered"
    (left,) = watch.alerts(*affected)
    assert left.source == affected[23].key
    succeed(database, affected[23])
    watch.look()
    watch.look()
    assert kinds(receiver)[9:] == ["digest_all_clear"]
    assert receiver.received[-1].event["digest"]["sources"] == 24


def test_once_an_outage_is_almost_over_a_new_failure_is_news(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    affected = sources(13)
    watch.channel(receiver.url, only=affected)
    fail(database, *affected[:12])
    watch.look()
    succeed(database, *affected[2:12])
    watch.look()
    fail(database, affected[12])
    watch.look()
    assert kinds(receiver) == ["digest", "alert"]
    assert receiver.received[-1].event["alert"]["source"] == affected[12].key


def test_a_workspace_s_channel_is_told_of_its_own_source_alone(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    affected = sources(12)
    watch.channel(receiver.url, of=affected[0])
    fail(database, *affected)
    watch.look()
    (told,) = receiver.received
    assert told.event["alert"]["source"] == affected[0].key, "the others are neither told nor counted"
    assert told.event["remedy"] == "Test the connection of its configuration.", "its people have no command line"
    for other in affected[1:]:
        assert other.workspace_slug not in told.body.decode()
    succeed(database, *affected)
    watch.look()
    assert kinds(receiver) == ["alert", "all_clear"]


def test_a_channel_is_told_of_the_causes_that_it_was_added_for(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    failing, rejected = sources(2)
    watch.channel(receiver.url, only=[failing, rejected], causes=[AlertCause.CREDENTIALS])
    fail(database, failing)
    note(database, rejected, SyncResult.REJECTED, "No such key.")
    watch.look()
    (told,) = receiver.received
    assert told.event["alert"]["source"] == rejected.key


def test_of_a_purged_workspace_nothing_is_left_to_tell(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    (source,) = sources(1)
    own, _secret = watch.channel("https://alerts.example.com/x", of=source)
    of_deployment, _secret = watch.channel(receiver.url, only=[source])
    receiver.answer = lambda _received: 503
    fail(database, source, message="Their own words.")
    watch.look()
    watch.made.remove(own)
    workspace = find_workspace(database, source.workspace_slug)
    purge = request_purge(database, workspace)
    assert delete_rows_of(database, purge, until=time.monotonic() + 60, on_piece=lambda: None)
    assert complete_purge(database, purge)
    watch.evaluate()
    with database.control() as connection:
        for table in ("alerts", "alert_announcements", "alert_deliveries", "alert_channels"):
            rows = connection.execute(text(f"SELECT found::text FROM sync.{table} AS found")).scalars()
            # Ids are no names: that the deployment wanted to be told of this one may stay.
            assert not [row for row in rows if source.workspace_slug in row or "Their own words" in row], table
    (left,) = list_deliveries(database, None, channel_id=of_deployment.id)
    assert left.state is DeliveryState.GIVEN_UP
    assert left.last_error == "The source that it was about was purged."
