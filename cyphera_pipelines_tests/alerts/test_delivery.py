"""Messages are sent until they are taken, by one worker at a time, and no receiver holds up another's."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from cyphera_pipelines.alerts.delivering import send_test
from cyphera_pipelines.alerts.messages import Writer
from cyphera_pipelines.model.alert_channels import ChannelState, DeliveryState
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.alert_channels import find_channel
from cyphera_pipelines.store.alert_deliveries import list_deliveries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.alerts.conftest import Watch, fail, kinds
from cyphera_pipelines_tests.cli.command import PROGRAM
from cyphera_pipelines_tests.receiver import Receiver, receiving, wait_for

Sources = Callable[[int], list[Source]]
_DOCUMENTED = Path(__file__).parents[2] / "docs" / "alerts.md"


def channel_values(database: Database, channel_id: UUID, **values: str) -> None:
    """Put columns of the channel, given as SQL."""
    columns = ", ".join(f"{name} = {value}" for name, value in values.items())
    with database.control() as connection:
        connection.execute(text(f"UPDATE sync.alert_channels SET {columns} WHERE id = :id"), {"id": channel_id})


def test_the_documented_check_knows_our_signature_and_no_other(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", _DOCUMENTED.read_text(encoding="utf-8"), re.DOTALL)
    documented: dict[str, Any] = {}
    exec(compile(code, "docs/alerts.md", "exec"), documented)  # noqa: S102
    (source,) = sources(1)
    _channel, secret = watch.channel(receiver.url, only=[source])
    fail(database, source)
    watch.look()
    (received,) = receiver.received
    header = received.headers["Cyphera-Signature"]
    assert documented["is_genuine"](received.body, header, secret)
    assert not documented["is_genuine"](received.body + b" ", header, secret)
    assert not documented["is_genuine"](received.body, header, f"{secret}x")
    assert not documented["is_genuine"](received.body, header, secret, tolerance=-1)
    assert received.headers["Idempotency-Id"] == received.event["id"]


def test_what_was_not_taken_is_sent_again_the_same_and_in_order(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    first, second = sources(2)
    channel, _secret = watch.channel(receiver.url, only=[first, second])
    receiver.answer = lambda _received: 503
    fail(database, first)
    watch.look()
    fail(database, second)
    watch.look()
    assert len(receiver.received) == 1, "it is not tried again at once, and the second waits for the first"
    found = find_channel(database, None, channel.id)
    assert (found.state, found.failures) == (ChannelState.FAILING, 1)
    assert found.last_error == "The receiver answered with status 503."
    receiver.answer = lambda _received: 200
    channel_values(database, channel.id, retry_at="now()")
    watch.look()
    one, again, other = receiver.received
    assert (one.body, one.headers["Idempotency-Id"]) == (again.body, again.headers["Idempotency-Id"])
    assert other.event["alert"]["source"] == second.key
    assert find_channel(database, None, channel.id).state is ChannelState.WORKS
    delivered = list_deliveries(database, None, channel_id=channel.id)
    assert [(each.state, each.attempts) for each in delivered] == [
        (DeliveryState.DELIVERED, 1),
        (DeliveryState.DELIVERED, 2),
    ]


def test_a_process_that_is_killed_while_it_sends_loses_nothing(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    (source,) = sources(1)
    channel, _secret = watch.channel(receiver.url, only=[source])
    fail(database, source)
    may_answer = threading.Event()

    def wait(_received: object) -> int:
        arrived.set()
        may_answer.wait(300)
        return 200

    arrived = threading.Event()
    receiver.answer = wait
    environment = {**os.environ, "CYPHERA_HOME": str(watch.settings.home)}
    process = subprocess.Popen([str(PROGRAM), "alerts", "run-once"], env=environment, stderr=subprocess.DEVNULL)
    try:
        assert arrived.wait(180), "the message has reached the receiver"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        may_answer.set()
    wait_for(lambda: len(receiver.received) == 1)
    (waiting,) = list_deliveries(database, None, channel_id=channel.id)
    assert (waiting.state, waiting.attempts) == (DeliveryState.WAITING, 1)
    watch.look()
    assert len(receiver.received) == 1, "the dead process has the channel until its claim runs out"
    channel_values(database, channel.id, claimed_until="now()")
    watch.look()
    watch.look()
    assert len({each.headers["Idempotency-Id"] for each in receiver.received}) == 1
    assert kinds(receiver) == ["alert", "alert"]
    (delivered,) = list_deliveries(database, None, channel_id=channel.id)
    assert (delivered.state, delivered.attempts) == (DeliveryState.DELIVERED, 2)


def test_many_looks_at_once_tell_each_alert_once(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    affected = sources(6)
    watch.channel(receiver.url, only=affected)
    fail(database, *affected)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _number: watch.look(), range(8)))
    told = sorted(each.event["alert"]["source"] for each in receiver.received)
    assert told == sorted(each.key for each in affected)
    assert len(watch.alerts(*affected)) == 6


def test_a_receiver_that_does_not_answer_holds_up_nobody_else(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    (source,) = sources(1)
    may_answer = threading.Event()
    with receiving() as slow:
        slow.answer = lambda _received: 200 if may_answer.wait(300) else 500
        watch.channel(slow.url, only=[source])
        watch.channel(receiver.url, only=[source])
        fail(database, source)
        looking = threading.Thread(target=watch.look, daemon=True)
        looking.start()
        wait_for(lambda: len(receiver.received) == 1)
        assert slow.received == [], "it has not answered yet"
        may_answer.set()
        looking.join(180)
        assert kinds(slow) == ["alert"]


def test_a_channel_that_failed_for_a_day_is_given_up_until_a_test_is_taken(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    first, second = sources(2)
    channel, _secret = watch.channel(receiver.url, only=[first, second])
    receiver.answer = lambda _received: 500
    fail(database, first)
    watch.look()
    channel_values(database, channel.id, retry_at="now()", failing_since="now() - interval '25 hours'")
    watch.look()
    dead = find_channel(database, None, channel.id)
    assert dead.state is ChannelState.DEAD
    (given_up,) = list_deliveries(database, None, channel_id=channel.id)
    assert (given_up.state, given_up.last_error) == (
        DeliveryState.GIVEN_UP,
        "The receiver answered with status 500.",
    )
    fail(database, second)
    watch.look()
    assert len(receiver.received) == 2, "nothing is sent to a dead channel"
    writer = Writer()
    assert send_test(database, watch.keyring, watch.settings, writer, dead).state is DeliveryState.GIVEN_UP
    assert find_channel(database, None, channel.id).state is ChannelState.DEAD
    receiver.answer = lambda _received: 200
    assert send_test(database, watch.keyring, watch.settings, writer, dead).state is DeliveryState.DELIVERED
    watch.look()
    assert receiver.received[-1].event["alert"]["source"] == second.key, "what is open is told then"


def test_what_is_refused_again_and_again_makes_way_for_the_next(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    first, second = sources(2)
    channel, _secret = watch.channel(receiver.url, only=[first, second])
    receiver.answer = lambda received: 422 if received.event["alert"]["source"] == first.key else 200
    fail(database, first)
    watch.evaluate()
    fail(database, second)
    for _ in range(4):
        channel_values(database, channel.id, retry_at="now()")
        watch.look()
    told = [each.event["alert"]["source"] for each in receiver.received]
    assert told == [first.key] * 3 + [second.key]
    assert sorted(each.state for each in list_deliveries(database, None, channel_id=channel.id)) == [
        DeliveryState.DELIVERED,
        DeliveryState.GIVEN_UP,
    ]


@pytest.mark.parametrize("status", [301, 307])
def test_redirects_are_not_followed(status: int, watch: Watch, receiver: Receiver) -> None:
    channel, _secret = watch.channel(receiver.url)
    receiver.answer = lambda _received: status
    done = send_test(watch.database, watch.keyring, watch.settings, Writer(), channel)
    assert done.state is DeliveryState.GIVEN_UP
    assert f"redirects ({status})" in str(done.last_error)
