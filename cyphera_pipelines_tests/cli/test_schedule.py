"""`cyphera schedule`, `cyphera status`, and what a sync without options does."""

from sqlalchemy import text

from cyphera_pipelines.model.schedule import DAY, HOUR, Schedule
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.schedules import SyncResult, change_schedule
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.cli.command import ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource
from cyphera_pipelines_tests.store.test_schedules import note


def test_schedules_are_shown_and_set_one_or_many_at_once(forked: ForkedCyphera, add_source: AddSource) -> None:
    one, other = add_source(), add_source()
    (shown,) = forked("schedule", "show", one, "stripe", "--json").json()
    assert shown["schedule"] == {
        "changes_every_seconds": 3_600,
        "daily_at": None,
        "time_zone": None,
        "listing_every_seconds": 604_800,
    }
    keys = (f"{one}:stripe", f"{other}:stripe")
    told = forked("schedule", "set", *keys, "--every", "15m", "--full-every", "30d").done()
    assert told.count("every 15 minutes, everything every 30 days") == 2
    daily = forked("schedule", "set", "--workspace", one, "--daily", "02:30", "--time-zone", "Europe/Berlin", "--json")
    assert daily.json()[0]["schedule"] | {"listing_every_seconds": 0} == {
        "changes_every_seconds": None,
        "daily_at": "02:30",
        "time_zone": "Europe/Berlin",
        "listing_every_seconds": 0,
    }
    assert "daily at 02:30 Europe/Berlin" in forked("schedule", "show").done()
    assert "daily at 02:30 Europe/Berlin" in forked("source", "show", one, "stripe").done()
    assert "source.schedule_changed" in [each["action"] for each in forked("audit", one, "--json").json()]


def test_mistakes_are_told_and_nothing_is_changed(forked: ForkedCyphera, add_source: AddSource) -> None:
    slug = add_source()
    for arguments, sentence in (
        ((slug, "stripe"), "Nothing to change"),
        (
            (slug, "stripe", "--every", "4m"),
            "Changes are not applied every 4 minutes. Choose from 5 minutes to 7 days.",
        ),
        (
            (slug, "stripe", "--every", "0m"),
            "Changes are not applied every 0 seconds. Choose from 5 minutes to 7 days.",
        ),
        (
            (slug, "stripe", "--every", "7d", "--full-every", "1h"),
            "Everything is listed when changes are due: not every hour where these are due every 7 days. "
            "List everything every 7 days or more rarely, or let changes be due every 1 hour or more often.",
        ),
        ((slug, "stripe", "--daily", "02:30", "--full-every", "23h"), "where these are due every day."),
        ((slug, "stripe", "--every", "fast"), "is no length of time"),
        ((slug, "stripe", "--full-every", "91d"), "Everything is not listed every 91 days."),
        ((slug, "stripe", "--daily", "25:00"), "This is no time of day."),
        ((slug, "stripe", "--time-zone", "UTC"), "A time zone says nothing of an interval."),
        ((slug, "stripe", "--daily", "02:30", "--time-zone", "Nowhere"), "There is no such time zone."),
        ((slug, "stripe", "--daily", "02:30", "--every", "1h"), "either at intervals or daily"),
        (("--every", "1h"), "Name the sources"),
        ((f"{slug}:stripe", "nobody:stripe", "--every", "1h"), "no active source 'nobody:stripe'"),
    ):
        assert sentence in forked("schedule", "set", *arguments).error()
    (shown,) = forked("schedule", "show", slug, "stripe", "--json").json()
    assert shown["schedule"]["changes_every_seconds"] == 3_600


def test_sources_are_paused_and_resumed_as_by_the_other_commands(forked: ForkedCyphera, add_source: AddSource) -> None:
    slug = add_source()
    assert "(moving)" in forked("schedule", "pause", slug, "stripe", "--reason", "moving").done()
    assert f"{slug}:stripe was not paused" not in forked("source", "resume", slug, "stripe").done()
    assert "was not paused" in forked("schedule", "resume", "--workspace", slug).done()


def test_a_schedule_that_an_earlier_version_took_is_shown_as_it_is_done(
    forked: ForkedCyphera, add_source: AddSource, cli_database: Database
) -> None:
    slug = add_source()
    source = find_source(cli_database, f"{slug}:stripe")
    note(cli_database, source, SyncResult.LEVEL)
    change_schedule(cli_database, source, Schedule(changes_every=7 * DAY, listing_every=HOUR))
    (shown,) = forked("schedule", "show", slug, "stripe").done().splitlines()[1:]
    assert "every 7 days, everything every 7 days" in shown
    facts = forked("source", "show", slug, "stripe", "--json").json()
    assert facts["next_listing_due"] == facts["next_due"]
    told = forked("schedule", "set", slug, "stripe", "--every", "1h").done()
    assert "every hour, everything every hour" in told


def test_a_paused_source_is_never_due(forked: ForkedCyphera, add_source: AddSource) -> None:
    slug = add_source()
    forked("source", "pause", slug, "stripe").done()
    facts = forked("source", "show", slug, "stripe", "--json").json()
    assert (facts["next_due"], facts["next_listing_due"]) == (None, None)
    resumed = forked("source", "resume", slug, "stripe").done()
    assert f"Next: cyphera sync {slug} stripe (by itself at 20" in resumed


def test_a_source_for_which_webhooks_wait_goes_on_at_once(
    forked: ForkedCyphera, add_source: AddSource, cli_database: Database
) -> None:
    slug = add_source()
    source = find_source(cli_database, f"{slug}:stripe")
    note(cli_database, source, SyncResult.LEVEL)
    forked("source", "pause", slug, "stripe").done()
    with cli_database.tenant(source.workspace_id) as connection:
        connection.execute(text("UPDATE sync.source_schedules SET wanted_at = now()"))
    resumed = forked("source", "resume", slug, "stripe").done()
    assert "(by itself within a minute, as what webhooks told waits for it)" in resumed


def test_a_sync_without_options_takes_the_cheapest_way_and_says_which(
    forked: ForkedCyphera, add_source: AddSource, sandbox: SandboxServer, account: SandboxAccount
) -> None:
    slug = add_source()
    first = forked("sync", slug, "stripe").done()
    assert "Listing everything: customers of this account were never listed to their end." in first
    sandbox.state.counters.reset()
    second = forked("sync", slug, "stripe")
    assert "Applying what changed since 20" in second.done()
    assert not [seen for seen in sandbox.state.counters.recent if seen.path == "/v1/customers"]
    forked("sync", slug, "stripe", "--full", "--entities", "products").done()
    assert [seen for seen in sandbox.state.counters.recent if seen.path == "/v1/products"]
    kinds = [each["session_type"] for each in forked("sessions", slug, "--json").json()]
    assert kinds == ["partial_sync", "delta_sync", "initial_sync"]
    (shown,) = forked("schedule", "show", slug, "stripe", "--json").json()
    assert (shown["state"], shown["remedy"]) == ("fresh", None)


def test_status_counts_and_names_the_worst_with_a_remedy(
    forked: ForkedCyphera, add_source: AddSource, cli_database: Database
) -> None:
    slug = add_source()
    assert "1 source: 0 fresh, 1 never synced." in forked("status", slug).done()
    assert forked("status", slug, "--check").code == 0
    source = find_source(cli_database, f"{slug}:stripe")
    note(cli_database, source, SyncResult.LEVEL)
    assert forked("status", slug, "--check").done().strip() == "1 source: 1 fresh."
    note(cli_database, source, SyncResult.FAILED, "Stripe cannot be reached.")
    told = forked("status", slug)
    assert "1 source: 0 fresh, 1 failing." in told.done()
    assert "Stripe cannot be reached." in told.out
    assert f"cyphera source test {slug} stripe" in told.out
    assert forked("status", slug, "--check").code == 1
    as_json = forked("status", slug, "--json").json()
    assert (as_json["sources"]["failing"], as_json["healthy"], len(as_json["worst"])) == (1, False, 1)
    assert "There is no workspace" in forked("status", "nobody").error()
    assert forked("status", "--limit", "0").code == 0
