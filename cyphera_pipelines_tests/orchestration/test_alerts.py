"""The sensor that tells what is wrong, as the daemon evaluates it."""

import threading
from collections.abc import Callable

import pytest
from dagster import DagsterInstance

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.orchestration import sensors
from cyphera_pipelines.store.alert_deliveries import list_deliveries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.alerts.conftest import Watch, be_fresh, fail, kinds
from cyphera_pipelines_tests.alerts.conftest import receiver as receiver
from cyphera_pipelines_tests.alerts.conftest import watch as watch
from cyphera_pipelines_tests.orchestration.conftest import evaluate
from cyphera_pipelines_tests.receiver import Receiver, wait_for


def test_what_is_wrong_is_told_by_itself(
    database: Database, instance: DagsterInstance, watch: Watch, receiver: Receiver, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_alerts_sensor")
    be_fresh(database, source)
    watch.channel(receiver.url, only=[source])
    fail(database, source)
    told = evaluate(instance, "alerts").skip_message
    assert kinds(receiver) == ["alert"]
    assert told is not None
    assert "delivered" in told


def test_a_slow_receiver_holds_up_no_other_sensor_and_is_told_once(
    database: Database,
    instance: DagsterInstance,
    watch: Watch,
    receiver: Receiver,
    add_source: Callable[..., Source],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it takes after the look is over, whose database is closed by then, is written down all the same."""
    monkeypatch.setattr(sensors, "ALERT_SECONDS", 3.0)
    source, look_is_over = add_source("sk_test_alerts_slow"), threading.Event()
    be_fresh(database, source)
    channel, _secret = watch.channel(receiver.url, only=[source])
    receiver.answer = lambda _received: 200 if look_is_over.wait(120) else 503
    fail(database, source)
    told = evaluate(instance, "alerts").skip_message
    assert told is not None
    assert "1 channel still being sent to" in told
    look_is_over.set()
    wait_for(lambda: [each.delivered_at for each in list_deliveries(database, None, channel_id=channel.id)] != [None])
    evaluate(instance, "alerts")
    assert kinds(receiver) == ["alert"]
