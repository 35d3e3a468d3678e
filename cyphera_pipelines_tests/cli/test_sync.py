"""`cyphera sync`: exit codes, results, progress, and what `cyphera sessions` and `cyphera events` tell afterwards."""

import os
import pty
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import parse_qs

import pytest

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.cli.command import DEADLINE_SECONDS, Cyphera, ForkedCyphera, Outcome, without_signs_of_life
from cyphera_pipelines_tests.cli.conftest import AddSource, MakeHome
from cyphera_pipelines_tests.truth import ENTITIES, assert_tables_equal_truth, live_rows


@dataclass(frozen=True)
class Synced:
    """A source and how its sync ended."""

    slug: str
    outcome: Outcome


@pytest.fixture(scope="module")
def syncs(cyphera: Cyphera, add_source: AddSource, account: SandboxAccount) -> Iterator[dict[str, Synced]]:
    """One sync with each kind of key, side by side."""
    sources = {
        "completed": add_source(),
        "partial": add_source("rk_test_commandline"),
        "failed": add_source("sk_test_revoked_years_ago"),
    }
    with ThreadPoolExecutor(len(sources)) as threads:
        waiting = {
            name: threads.submit(cyphera, "sync", slug, "stripe", *(["--json"] if name == "partial" else []))
            for name, slug in sources.items()
        }
        yield {name: Synced(sources[name], future.result()) for name, future in waiting.items()}


def test_a_completed_sync_exits_0_and_its_tables_equal_the_provider(
    syncs: dict[str, Synced], cli_database: Database, sandbox: SandboxServer, account: SandboxAccount
) -> None:
    slug, outcome = syncs["completed"].slug, syncs["completed"].outcome
    table = [line.split() for line in outcome.done().splitlines()]
    for entity in ENTITIES:
        size = str(account.size_of(entity))
        assert [entity, size, "0", "0", "0", "0", "complete"] in table
    assert table[-1][0] == "Session"
    assert table[-1][2] == "completed"
    source = find_source(cli_database, f"{slug}:stripe")
    assert_tables_equal_truth(cli_database, source, sandbox.state, account.account_id)


def test_without_a_terminal_progress_is_plain_lines(syncs: dict[str, Synced], account: SandboxAccount) -> None:
    slug, lines = syncs["completed"].slug, syncs["completed"].outcome.err.splitlines()
    assert lines[0] == f"{slug}:stripe: starting"
    assert f"{slug}:stripe: Listing everything: customers of this account were never listed to their end." in lines
    done = ", ".join(f"{entity} {account.size_of(entity)} done" for entity in ENTITIES)
    assert lines[-1] == f"{slug}:stripe: {done}"
    assert not [line for line in lines if "\x1b" in line or not line.startswith(f"{slug}:stripe: ")]


def test_a_partial_sync_exits_2_and_says_what_is_missing(
    syncs: dict[str, Synced], cli_database: Database, sandbox: SandboxServer, account: SandboxAccount
) -> None:
    slug, outcome = syncs["partial"].slug, syncs["partial"].outcome
    assert outcome.code == 2
    session = outcome.json()
    assert session["status"] == "partial"
    assert session["dagster_run_id"]
    assert "rak_invoice_read" in session["error_summary"]["message"]
    source = find_source(cli_database, f"{slug}:stripe")
    assert_tables_equal_truth(cli_database, source, sandbox.state, account.account_id, entities=ENTITIES[:-1])
    assert live_rows(cli_database, source, "invoices") == {}


def test_a_failed_sync_exits_1_and_says_why(syncs: dict[str, Synced], forked: ForkedCyphera) -> None:
    slug, outcome = syncs["failed"].slug, syncs["failed"].outcome
    assert outcome.code == 1
    assert "Stripe rejects the API key" in outcome.err
    assert "Traceback" not in outcome.err
    (session,) = forked("sessions", slug, "--json").json()
    assert session["status"] == "failed"
    assert f"Details: cyphera events {session['id'][:8]}" in outcome.err
    assert "Stripe rejects the API key" in forked("events", session["id"]).done()


def test_a_failed_sync_has_its_code_wherever_it_is_told_of(syncs: dict[str, Synced], forked: ForkedCyphera) -> None:
    slug, outcome = syncs["failed"].slug, syncs["failed"].outcome
    code = "credentials-rejected"
    assert f"[{code}]" in outcome.err
    (session,) = forked("sessions", slug, "--json").json()
    assert session["error_code"] == code
    told = [("events", session["id"]), ("sessions", slug), ("status", slug), ("schedule", "show", slug, "stripe")]
    for command in (*told, ("source", "show", slug, "stripe")):
        assert f"[{code}]" in forked(*command).done()
    events = forked("events", session["id"], "--json").json()
    assert {event["event_details"].get("code") for event in events} == {None, code}
    assert forked("errors", f"[{code}]").done().splitlines() == [
        f"{code}: {ErrorCode.CREDENTIALS_REJECTED.meaning}",
        f"What to do: {ErrorCode.CREDENTIALS_REJECTED.remedy}",
        "Who can: a workspace admin.",
    ]
    assert [each["code"] for each in forked("errors", "--json").json()] == sorted(ErrorCode)
    assert "Perhaps: credentials-rejected" in forked("errors", "credential-rejected").error()


def test_sessions_and_events_tell_what_happened(
    syncs: dict[str, Synced], cyphera: Cyphera, forked: ForkedCyphera, account: SandboxAccount
) -> None:
    everything = cyphera("sessions").done()
    for name, synced in syncs.items():
        (line,) = [line for line in everything.splitlines() if f"{synced.slug}:stripe" in line]
        assert name in line
    problem = forked("sessions", syncs["failed"].slug).done().splitlines()[2]
    assert re.match("[0-9a-f]{8}: Stripe rejects the API key", problem), "on a line of its own"
    (line,) = forked("sessions", syncs["completed"].slug).done().splitlines()[1:]
    assert str(sum(account.size_of(entity) for entity in ENTITIES)) in line
    session_id = line.split()[0]
    assert len(session_id) == 8
    events = forked("events", session_id, "--json").json()
    assert len(events) >= 2
    assert [events[0]["event_type"], events[-1]["event_type"]] == ["session_started", "session_completed"]
    assert len(forked("sessions", "--limit", "2", "--json").json()) == 2


def test_entities_are_given_with_commas_and_several_times(
    forked: ForkedCyphera,
    add_source: AddSource,
    cli_database: Database,
    sandbox: SandboxServer,
    account: SandboxAccount,
) -> None:
    slug = add_source()
    sandbox.state.counters.reset()
    chosen = ("--entities", "prices, customers", "--entities", "products")
    session = forked("sync", slug, "stripe", *chosen, "--batch-size", "7", "--full", "--json").json()
    assert session["entity_types"] == ["customers", "products", "prices"]
    assert (session["config"]["full_sync"], session["config"]["batch_size"]) == (True, 7)
    listings = [seen for seen in sandbox.state.counters.recent if seen.path.removeprefix("/v1/") in ENTITIES]
    assert {parse_qs(seen.query)["limit"][0] for seen in listings} == {"7"}
    source = find_source(cli_database, f"{slug}:stripe")
    chosen_entities = ("customers", "products", "prices")
    assert_tables_equal_truth(cli_database, source, sandbox.state, account.account_id, entities=chosen_entities)
    assert live_rows(cli_database, source, "subscriptions") == {}


@pytest.fixture
def slow_sandbox(account: SandboxAccount) -> Iterator[SandboxServer]:
    with SandboxServer([account], SandboxOptions(latency_ms=150)) as server:
        yield server


def test_in_a_terminal_progress_is_a_bar_per_entity(
    cyphera: Cyphera, add_source: AddSource, slow_sandbox: SandboxServer
) -> None:
    slug = add_source(base_url=slow_sandbox.url)
    terminal, its_other_end = pty.openpty()
    process = cyphera.start(
        "sync",
        slug,
        "stripe",
        "--batch-size",
        "20",
        stderr=its_other_end,
        environment={"TERM": "xterm-256color", "COLUMNS": "80"},
    )
    os.close(its_other_end)
    shown = read_all(terminal)
    assert process.wait(DEADLINE_SECONDS) == 0
    assert "\x1b[" in shown
    assert f"{slug}:stripe: starting" in shown
    for entity in ENTITIES:
        assert f"  {entity}" in shown
    assert "━" in shown
    assert "140/140" in shown


def test_ctrl_c_ends_the_sync_and_its_session(
    cyphera: Cyphera, forked: ForkedCyphera, add_source: AddSource, slow_sandbox: SandboxServer
) -> None:
    slug = add_source(base_url=slow_sandbox.url)
    process = cyphera.start("sync", slug, "stripe", "--batch-size", "2")

    def interrupt(_endpoint: str, _query: str) -> None:
        if slow_sandbox.state.counters.total == 12:
            process.send_signal(signal.SIGINT)

    slow_sandbox.state.watchers.append(interrupt)
    _, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 130
    assert "Interrupted." in errors
    assert "Traceback" not in errors
    (session,) = forked("sessions", slug, "--json").json()
    assert session["status"] == "cancelled"


@pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_before_the_run_begins_leaves_no_session_that_waits(
    interruption: signal.Signals, cyphera: Cyphera, forked: ForkedCyphera, add_source: AddSource
) -> None:
    slug = add_source()
    process = cyphera.start("sync", slug, "stripe")
    assert process.stderr is not None
    while "starting" not in process.stderr.readline():
        # Then the session is there, and Dagster is imported for a second.
        pass
    process.send_signal(interruption)
    process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 130
    (session,) = forked("sessions", slug, "--json").json()
    assert (session["status"], session["error_code"]) == ("cancelled", "cancelled")
    assert session["error_summary"]["message"] == "The sync was interrupted. No row had been changed."
    assert session["dagster_run_id"] is not None


@pytest.mark.slow
@pytest.mark.parametrize("debug", [False, True])
def test_a_database_that_dies_in_the_middle_is_told_in_one_line(
    debug: bool, make_home: MakeHome, forked: ForkedCyphera, add_source: AddSource, slow_sandbox: SandboxServer
) -> None:
    cyphera = make_home()
    quick = forked.elsewhere(cyphera.home)
    slug = add_source(command=quick, base_url=slow_sandbox.url)
    process = cyphera.start(*(["--debug"] if debug else []), "sync", slug, "stripe", "--batch-size", "2")

    def kill_the_server(_endpoint: str, _query: str) -> None:
        if slow_sandbox.state.counters.total == 12:
            os.kill(int((cyphera.home / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    slow_sandbox.state.watchers.append(kill_the_server)
    output, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1, errors
    told = [line for line in without_signs_of_life(errors).splitlines() if not line.startswith(f"{slug}:stripe: ")]
    sentence = (
        f"(Error: )?The sync of {slug}:stripe (lost|could not connect to) its database: .+ "
        r"The next sync continues from there\. \[database-unavailable\]"
    )
    assert len([line for line in told if re.fullmatch(sentence, line)]) == 1
    assert "An error of ours" not in errors
    # The embedded server is started again by whoever needs it: then there is a session to show, and no error of ours.
    if not debug:
        assert [line for line in told if not re.fullmatch(sentence, line) and not line.startswith("Details: ")] == []
    elif not output:
        assert "Traceback" in errors
    quick("sync", slug, "stripe").done()
    assert [each["status"] for each in quick("sessions", slug, "--json").json()] == ["completed", "failed"]


def read_all(terminal: int) -> str:
    """Everything that is written to a terminal until the last writer is gone."""
    written = b""
    with open(terminal, "rb", buffering=0) as stream:
        try:
            while chunk := stream.read(65_536):
                written += chunk
        except OSError:  # how Linux tells a terminal's end
            pass
    return written.decode()
