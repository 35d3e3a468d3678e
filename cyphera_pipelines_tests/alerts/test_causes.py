"""What opens an alert of each cause, what ends it, and what does neither."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from cyphera_pipelines.model.alerts import Alert, AlertCause, AlertRule, AlertState, EndedBecause
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.alert_channels import remove_channel
from cyphera_pipelines.store.alert_rules import read_rules, set_rule
from cyphera_pipelines.store.configurations import get_configuration, remove_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.pauses import pause_source, resume_source
from cyphera_pipelines.store.schedules import SyncResult, end_credentials_pause
from cyphera_pipelines_tests.alerts.conftest import Watch, be_fresh, fail, succeed
from cyphera_pipelines_tests.receiver import Receiver
from cyphera_pipelines_tests.store.test_schedules import note, put

Sources = Callable[[int], list[Source]]
ALL = tuple(AlertState)


def causes(watch: Watch, source: Source, *states: AlertState) -> list[AlertCause]:
    return sorted(each.cause for each in watch.alerts(source, states=states or (AlertState.OPEN,)))


def ended(watch: Watch, source: Source) -> list[Alert]:
    return watch.alerts(source, states=(AlertState.ENDED,))


def execute(database: Database, statement: str, source: Source) -> None:
    with database.control() as connection:
        connection.execute(text(statement), {"workspace_id": source.workspace_id})


def test_of_a_sync_that_is_not_complete(database: Database, watch: Watch, sources: Sources) -> None:
    (source,) = sources(1)
    note(database, source, SyncResult.BEHIND, "invoices did not complete.")
    watch.evaluate()
    assert causes(watch, source) == [AlertCause.PARTIAL]
    succeed(database, source)
    watch.evaluate()
    assert causes(watch, source) == []


def test_of_a_source_that_nobody_is_at_work_on(database: Database, watch: Watch, sources: Sources) -> None:
    late, never = sources(2)
    put(database, late, fresh_at=text("now() - interval '3 hours'"))
    put(database, never, fresh_at=None, due_at=text("now() - interval '3 hours'"))
    watch.evaluate()
    assert causes(watch, late) == causes(watch, never) == [AlertCause.LATE]
    fail(database, late)
    watch.evaluate()
    assert causes(watch, late) == [AlertCause.FAILED, AlertCause.LATE], "it is late, whatever else it is"
    succeed(database, late, never)
    watch.evaluate()
    assert causes(watch, late) == causes(watch, never) == []


def test_a_first_sync_that_is_under_way_is_not_late(database: Database, watch: Watch, sources: Sources) -> None:
    (source,) = sources(1)
    lease = {"claimed_by": source.workspace_id, "lease_until": text("now() + interval '1 minute'")}
    put(database, source, fresh_at=None, due_at=text("now() - interval '3 hours'"), **lease)
    watch.evaluate()
    assert causes(watch, source, *ALL) == []


def test_rejected_credentials_are_one_alert_until_a_sync_succeeds(
    database: Database, watch: Watch, sources: Sources
) -> None:
    (source,) = sources(1)
    note(database, source, SyncResult.REJECTED, "No such key.")
    watch.evaluate()
    (alert,) = watch.alerts(source)
    assert (alert.cause, alert.error_code) == (AlertCause.CREDENTIALS, "credentials-rejected")
    with database.tenant(source.workspace_id) as connection:
        assert end_credentials_pause(connection, source.workspace_id, source.provider)
    watch.evaluate()
    assert causes(watch, source) == [AlertCause.CREDENTIALS], "another key proves nothing before it is tried"
    note(database, source, SyncResult.REJECTED, "No such key either.")
    watch.evaluate()
    assert [each.id for each in watch.alerts(source)] == [alert.id]
    with database.tenant(source.workspace_id) as connection:
        end_credentials_pause(connection, source.workspace_id, source.provider)
    succeed(database, source)
    watch.evaluate()
    assert [each.ended_because for each in ended(watch, source)] == [EndedBecause.RECOVERED]


def test_what_is_said_of_a_pause_is_true_before_and_after_it_ends(
    database: Database, watch: Watch, sources: Sources
) -> None:
    set_rule(database, None, AlertRule(AlertCause.CREDENTIALS, all_clear_after=3_600))
    (source,) = sources(1)
    slug = source.workspace_slug
    note(database, source, SyncResult.REJECTED, "No such key.")
    watch.evaluate()
    (alert,) = watch.alerts(source)
    since = f"{alert.began_at:%Y-%m-%d %H:%M} UTC"
    assert (
        alert.sentence
        == f"It is paused since {since}, as its credentials were rejected: The credentials were rejected: No such key."
    )
    assert alert.remedy == f"Enter a key that works: cyphera source update {slug} stripe --api-key-stdin"
    with database.tenant(source.workspace_id) as connection:
        end_credentials_pause(connection, source.workspace_id, source.provider)
    watch.evaluate()
    (alert,) = watch.alerts(source)
    past = f"It was paused at {since}, as its credentials were rejected: The credentials were rejected: No such key."
    assert alert.sentence == past
    assert alert.remedy == (
        f"Nothing, if its next sync comes to its end. To see that at once: cyphera sync {slug} stripe"
    )
    pause_source(database, source, "Moving.")
    (alert,) = watch.alerts(source)
    assert alert.sentence == past, "a person's pause is another one"
    resume_source(database, source)
    succeed(database, source)
    watch.evaluate()
    (alert,) = watch.alerts(source, states=(AlertState.RECOVERING,))
    assert (alert.sentence, alert.remedy, alert.remedy_of_workspace) == (past, None, None)
    execute(database, "UPDATE sync.alerts SET recovered_at = '2026-01-01' WHERE workspace_id = :workspace_id", source)
    watch.evaluate()
    (alert,) = ended(watch, source)
    assert (alert.sentence, alert.remedy) == (past, None)


@pytest.mark.parametrize("cause", AlertCause)
def test_what_is_over_is_told_as_what_was_and_people_of_a_workspace_of_no_command(cause: AlertCause) -> None:
    now = datetime(2026, 3, 1, 9, 12, tzinfo=UTC)
    for code in (None, *ErrorCode):
        made = Alert(
            uuid4(), uuid4(), "acme", "stripe", cause, code, 2, None, now, now, None, None, None, is_paused=True
        )
        assert "cyphera " in (made.remedy or "") or code is not None
        assert made.remedy_of_workspace
        assert "cyphera " not in made.remedy_of_workspace
        over = replace(made, recovered_at=now, is_paused=False)
        assert (over.remedy, over.remedy_of_workspace) == (None, None)
        assert not {"is", "are", "have", "since"} & set(over.sentence.split())


def test_a_person_s_pause_is_no_recovery_and_no_trouble(database: Database, watch: Watch, sources: Sources) -> None:
    failing, well = sources(2)
    fail(database, failing)
    watch.evaluate()
    for source in (failing, well):
        pause_source(database, source, "Moving.")
        put(database, source, fresh_at=text("now() - interval '3 days'"))
    watch.evaluate()
    assert causes(watch, failing) == [AlertCause.FAILED]
    assert causes(watch, well, *ALL) == []
    for source in (failing, well):
        resume_source(database, source)
    succeed(database, failing, well)
    watch.evaluate()
    assert causes(watch, failing) == []


def test_of_webhooks_that_cannot_be_applied(database: Database, watch: Watch, sources: Sources) -> None:
    (source,) = sources(1)
    execute(
        database,
        "INSERT INTO sync.webhook_events (workspace_id, provider_name, livemode, external_id, event_type, entity_type, "
        "payload, attempts, last_error, error_code) SELECT :workspace_id, 'stripe', false, 'evt_' || n, "
        "'customer.updated', 'customers', '{}', 1, 'No.', 'permission-missing' FROM generate_series(1, 3) AS n",
        source,
    )
    watch.evaluate()
    (alert,) = watch.alerts(source)
    assert (alert.cause, alert.times, alert.error_code) == (AlertCause.WEBHOOKS_FAILING, 3, "permission-missing")
    assert alert.sentence.startswith("3 webhooks could not be applied since ")
    dead = "UPDATE sync.webhook_events SET dead_at = now() WHERE workspace_id = :workspace_id"
    execute(database, dead, source)
    watch.evaluate()
    assert causes(watch, source) == [AlertCause.WEBHOOKS_DEAD, AlertCause.WEBHOOKS_FAILING], "they are not applied"
    applied = "UPDATE sync.webhook_events SET handled_at = now() WHERE workspace_id = :workspace_id"
    execute(database, applied, source)
    watch.evaluate()
    assert causes(watch, source) == []


def test_of_what_a_verification_found(database: Database, watch: Watch, sources: Sources) -> None:
    (source,) = sources(1)
    execute(
        database,
        "INSERT INTO sync.verifications (workspace_id, provider_name, livemode, entity_type, verified_at, "
        "rows_checked, open_differences, unmappable) VALUES "
        "(:workspace_id, 'stripe', false, 'customers', now(), 9, 2, 0), "
        "(:workspace_id, 'stripe', false, 'prices', now(), 9, 5, 0), (:workspace_id, 'stripe', true, 'prices', now(), "
        "9, 100, 0)",
        source,
    )
    watch.evaluate()
    (alert,) = watch.alerts(source)
    assert (alert.cause, alert.times) == (AlertCause.DRIFT, 7)
    execute(database, "UPDATE sync.verifications SET open_differences = 0 WHERE workspace_id = :workspace_id", source)
    watch.evaluate()
    assert causes(watch, source) == []


def test_a_source_that_is_removed_ends_its_alerts_and_the_message_says_so(
    database: Database, watch: Watch, receiver: Receiver, sources: Sources
) -> None:
    (source,) = sources(1)
    watch.channel(receiver.url, only=[source])
    fail(database, source)
    watch.look()
    remove_configuration(database, get_configuration(database, source.workspace_id, source.configuration_id))
    watch.look()
    told = receiver.received[-1].event
    assert (told["kind"], told["alert"]["ended_because"]) == ("all_clear", "removed")
    assert told["sentence"] == "It is no longer an active source: nothing of it is synced any more."


def test_a_rule_waits_for_so_many_or_for_so_long_and_what_passes_before_is_forgotten(
    database: Database, watch: Watch, sources: Sources
) -> None:
    set_rule(database, None, AlertRule(AlertCause.FAILED, times=3, after=7_200, all_clear_after=0))
    often, long, passing, off = sources(4)
    set_rule(database, off.workspace_id, AlertRule(AlertCause.FAILED, is_on=False))
    fail(database, often, long, passing, off)
    watch.evaluate()
    assert causes(watch, often, AlertState.WAITING) == [AlertCause.FAILED]
    fail(database, often, often)
    execute(
        database,
        "UPDATE sync.alerts SET began_at = now() - interval '121 minutes' WHERE workspace_id = :workspace_id",
        long,
    )
    succeed(database, passing)
    watch.evaluate()
    assert causes(watch, often) == causes(watch, long) == [AlertCause.FAILED]
    assert causes(watch, passing, *ALL) == []


def test_a_number_that_an_earlier_version_took_for_what_counts_nothing_keeps_nobody_from_being_told(
    database: Database, watch: Watch, sources: Sources
) -> None:
    set_rule(database, None, AlertRule(AlertCause.PARTIAL, times=2))
    (source,) = sources(1)
    note(database, source, SyncResult.BEHIND, "Not complete.")
    watch.evaluate()
    assert causes(watch, source) == [AlertCause.PARTIAL]
    assert read_rules(database, None)[AlertCause.PARTIAL][0].times is None


def test_what_fails_and_recovers_again_and_again_is_told_more_and_more_seldom(
    database: Database, watch: Watch, sources: Sources
) -> None:
    set_rule(database, None, AlertRule(AlertCause.FAILED, all_clear_after=60))
    (source,) = sources(1)
    told = 0
    for _ in range(12):
        be_fresh(database, source)
        fail(database, source)
        watch.evaluate()
        succeed(database, source)
        watch.evaluate()
        # Ten minutes in which it is well.
        execute(
            database,
            "UPDATE sync.alerts SET recovered_at = recovered_at - interval '10 minutes' "
            "WHERE workspace_id = :workspace_id AND ended_at IS NULL",
            source,
        )
        watch.evaluate()
        told = len(watch.alerts(source, states=ALL))
    assert told == 3, "after one minute, after four, and not within sixteen"


class Happenings:
    """What may happen to a source, by name."""

    def __init__(self, database: Database, source: Source) -> None:
        self.database, self.source = database, source
        self.was_true: set[AlertCause] = set()

    def fail(self) -> None:
        note(self.database, self.source, SyncResult.FAILED, "It fails.")
        self.was_true.add(AlertCause.FAILED)

    def be_partial(self) -> None:
        note(self.database, self.source, SyncResult.BEHIND, "Not all.")
        self.was_true.add(AlertCause.PARTIAL)

    def be_rejected(self) -> None:
        note(self.database, self.source, SyncResult.REJECTED, "No.")
        # Where a person has paused it, no pause of ours is added, and it has failed as by anything else.
        self.was_true |= {AlertCause.CREDENTIALS, AlertCause.FAILED}

    def succeed(self) -> None:
        succeed(self.database, self.source)

    def pause(self) -> None:
        pause_source(self.database, self.source, "A pause.")

    def resume(self) -> None:
        resume_source(self.database, self.source)

    def enter_a_key(self) -> None:
        with self.database.tenant(self.source.workspace_id) as connection:
            end_credentials_pause(connection, self.source.workspace_id, self.source.provider)


STEPS = ("fail", "be_partial", "be_rejected", "succeed", "pause", "resume", "enter_a_key", "look")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(st.sampled_from(STEPS), min_size=3, max_size=14))
def test_whatever_happens_nothing_is_told_twice_or_untruly(
    steps: list[str], database: Database, watch: Watch, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_alerts_property")
    be_fresh(database, source)
    channel, _secret = watch.channel("http://127.0.0.1:9/", only=[source])
    happening = Happenings(database, source)
    is_well = True
    for step in (*steps, "look"):
        if step != "look":
            getattr(happening, step)()
            continue
        watch.evaluate()
        opened = [each.cause for each in watch.alerts(source, states=(AlertState.OPEN, AlertState.RECOVERING))]
        assert len(opened) == len(set(opened)), "one open alert per cause"
        with database.control() as connection:
            row = connection.execute(
                text(
                    "SELECT last_failure IS NULL AND paused_at IS NULL AS is_well FROM sync.source_schedules "
                    "WHERE workspace_id = :id"
                ),
                {"id": source.workspace_id},
            ).one()
            told = connection.execute(
                text("SELECT alert_id, kind, cause FROM sync.alert_deliveries WHERE channel_id = :id ORDER BY number"),
                {"id": channel.id},
            ).all()
        is_well = row.is_well
        assert {AlertCause(each.cause) for each in told} <= happening.was_true, "nothing that never was"
        for alert_id in {each.alert_id for each in told}:
            kinds = [each.kind for each in told if each.alert_id == alert_id]
            assert kinds in (["alert"], ["alert", "all_clear"]), "once each, and in this order"
        cleared = {each.alert_id for each in told if each.kind == "all_clear"}
        assert len(told) - len(cleared) - len(cleared) == len(opened)
    succeed(database, source)
    resume_source(database, source)
    succeed(database, source)
    watch.evaluate()
    assert watch.alerts(source) == [], f"it is well, as it was before: {is_well}"
    # There may be so many at once only.
    remove_channel(database, None, channel.id)
    watch.made.remove(channel)
