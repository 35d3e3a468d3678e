"""The page of alerts: what is shown to whom, and what its forms do."""

import re
from collections.abc import Callable

import pytest

from cyphera_pipelines.model.alert_channels import ChannelKind
from cyphera_pipelines.model.alerts import AlertCause
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.alert_channels import list_channels
from cyphera_pipelines.store.alert_rules import read_rules
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.alerts.conftest import Watch, be_fresh, fail
from cyphera_pipelines_tests.alerts.conftest import receiver as receiver
from cyphera_pipelines_tests.alerts.conftest import watch as watch
from cyphera_pipelines_tests.ops.conftest import Browser, OpenBrowser, text_of
from cyphera_pipelines_tests.receiver import Receiver


@pytest.fixture
def source(database: Database, add_source: Callable[..., Source]) -> Source:
    made = add_source("sk_test_alerts_page")
    be_fresh(database, made)
    return made


def test_an_operator_sees_what_is_wrong_and_tests_a_channel(
    database: Database, watch: Watch, receiver: Receiver, source: Source, operator: Browser
) -> None:
    channel, _secret = watch.channel(receiver.url, only=[source])
    fail(database, source, message="<script>alert(1)</script>")
    watch.look()
    shown = operator.read("/alerts")
    assert "<script>alert(1)" not in shown
    assert source.key in text_of(shown)
    assert "<script>alert(1)</script>" in text_of(shown)
    answer = operator.submit(f"/alerts/channels/{channel.id}/test", form_of="/alerts")
    assert "took the test" in text_of(answer.text)
    assert receiver.received[-1].event["kind"] == "test"


def test_people_of_a_workspace_are_told_of_no_command(
    database: Database, watch: Watch, source: Source, operator: Browser, open_browser: OpenBrowser
) -> None:
    fail(database, source)
    watch.evaluate()
    command = f"cyphera source test {source.workspace_slug} stripe"
    assert command in text_of(operator.read("/alerts"))
    own = text_of(open_browser(find_workspace(database, source.workspace_slug)).read("/alerts"))
    assert source.key in own
    assert re.search(r"\bcyphera [a-z]", own) is None
    assert "Test the connection of its configuration." in own


def test_a_workspace_manages_its_own_channels_and_rules_only(
    database: Database, watch: Watch, source: Source, add_source: Callable[..., Source], open_browser: OpenBrowser
) -> None:
    other = add_source("sk_test_alerts_page_other")
    theirs, _secret = watch.channel("https://theirs.example.com/alerts", of=other)
    browser = open_browser(find_workspace(database, source.workspace_slug))
    form = {"name": "on call", "kind": "webhook", "address": "https://alerts.example.com/hook-planted"}
    added = browser.submit("/alerts/channels", form_of="/alerts", **form)
    assert "whsec_" in added.text
    assert "hook-planted" not in added.text
    shown = browser.read("/alerts")
    assert "whsec_" not in shown
    assert "theirs.example.com" not in shown
    (channel,) = list_channels(database, source.workspace_id)
    assert (channel.name, channel.kind) == ("on call", ChannelKind.WEBHOOK)
    browser.submit("/alerts/rules", form_of="/alerts", cause="failed", told="on", times="5", after="")
    assert read_rules(database, source.workspace_id)[AlertCause.FAILED][0].times == 5
    refused = browser.read(f"/alerts/channels/{theirs.id}/remove", status=404)
    assert "theirs" not in refused
    browser.submit(f"/alerts/channels/{channel.id}/remove", form_of=f"/alerts/channels/{channel.id}/remove")
    assert list_channels(database, source.workspace_id) == []
    assert list_channels(database, other.workspace_id) == [theirs]


def test_a_key_that_may_only_read_is_shown_no_forms(
    database: Database, source: Source, open_browser: OpenBrowser
) -> None:
    browser = open_browser(find_workspace(database, source.workspace_slug), KeyLevel.READ)
    shown = browser.read("/alerts")
    assert "/alerts/channels" not in shown
    assert "/alerts/rules" not in shown


def test_a_private_address_is_refused_in_words(database: Database, source: Source, open_browser: OpenBrowser) -> None:
    browser = open_browser(find_workspace(database, source.workspace_slug))
    form = {"name": "inside", "kind": "webhook", "address": "https://169.254.169.254/latest"}
    answer = browser.submit("/alerts/channels", form_of="/alerts", **form)
    assert answer.status_code == 422
    assert "must be one of the public internet" in text_of(answer.text)
    assert list_channels(database, source.workspace_id) == []
