"""`cyphera alerts`: channels, rules, and one look."""

from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.alerts.conftest import be_fresh, fail
from cyphera_pipelines_tests.cli.command import ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource
from cyphera_pipelines_tests.receiver import receiving


def test_from_nothing_to_the_first_alert(forked: ForkedCyphera, add_source: AddSource, cli_database: Database) -> None:
    slug = add_source()
    source = find_source(cli_database, f"{slug}:stripe")
    be_fresh(cli_database, source)
    with receiving() as receiver:
        to = f"{receiver.url}/planted-path"
        added = forked("alerts", "channels", "add", "webhook", "--name", slug, "--only", slug, "--to", to)
        assert "Signing secret: whsec_" in added.done()
        assert "took the test" in forked("alerts", "channels", "test", slug).done()
        shown = forked("alerts", "channels", "list").done()
        assert slug in shown
        assert "planted-path" not in shown
        fail(cli_database, source)
        fail(cli_database, source)
        assert "1 delivered" in forked("alerts", "run-once").done()
        assert [each.event["kind"] for each in receiver.received] == ["test", "alert"]
        (alert,) = forked("alerts", "list", "--workspace", slug, "--json").json()
        assert (alert["source"], alert["cause"], alert["state"]) == (f"{slug}:stripe", "failed", "open")
        assert "2 syncs in a row failed" in forked("alerts", "list").done()
        assert f"{slug}:stripe: failed" in forked("alerts", "deliveries", "--channel", slug).done()
        assert "Removed channel" in forked("alerts", "channels", "remove", slug).done()
    assert "No channel is called" in forked("alerts", "channels", "test", slug).error()


def test_rules_are_set_and_set_back(forked: ForkedCyphera, add_source: AddSource) -> None:
    slug = add_source()
    told = forked("alerts", "rules", "set", "failed", "--workspace", slug, "--times", "3").done()
    assert told.strip() == "failed is told from 3 syncs in a row on."
    (own,) = [
        each for each in forked("alerts", "rules", "show", "--workspace", slug, "--json").json() if each["is_own"]
    ]
    assert (own["cause"], own["times"], own["after"]) == ("failed", 3, None)
    for cause, words in (("drift", "row on"), ("webhooks_failing", "webhook on"), ("failed", "sync in a row on")):
        told = forked("alerts", "rules", "set", cause, "--workspace", slug, "--times", "1").done()
        assert told.strip() == f"{cause} is told from 1 {words}."
        forked("alerts", "rules", "reset", cause, "--workspace", slug).done()
    shown = forked("alerts", "rules", "show", "--workspace", slug, "--json").json()
    assert not any(each["is_own"] for each in shown)


def test_mistakes_are_told(forked: ForkedCyphera) -> None:
    for arguments, sentence in (
        (("rules", "set", "failed", "--off", "--times", "2"), "not both"),
        (("rules", "set", "failed", "--times", "0"), "from 1 to 100 syncs in a row on"),
        *(
            (("rules", "set", cause, "--times", "2"), f"{cause} is there or not, so that there is nothing to count")
            for cause in ("credentials", "late", "partial", "given_up")
        ),
        (("channels", "add", "slack", "--name", "x", "--to", "https://hooks.slack.com/services/a/b/c"), "is a secret"),
        (("channels", "add", "webhook", "--name", "x", "--to", "nowhere"), "https://host/path"),
        (("channels", "add", "apprise", "--name", "x", "--address-env", "UNSET_VARIABLE"), "is not set or empty"),
        (("deliveries", "--channel", "nobody-s"), "No channel is called"),
    ):
        assert sentence in forked("alerts", *arguments).error()
