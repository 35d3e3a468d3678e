"""What `cyphera source` tells of keys, and what becomes of a sync whose source is removed."""

from cyphera_pipelines.cli.output import short_id
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.sessions import get_session
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.cli.command import ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource


def test_a_removed_source_s_session_ends(forked: ForkedCyphera, add_source: AddSource, cli_database: Database) -> None:
    slug = add_source()
    session = open_session(cli_database, find_source(cli_database, f"{slug}:stripe"), SyncRequest())
    assert f"Cancelled its session {short_id(session.id)}." in forked("source", "remove", slug, "stripe").done()
    ended = get_session(cli_database, session.workspace_id, session.id)
    assert ended.status is SessionStatus.CANCELLED
    assert ended.error_summary is not None
    assert ended.error_summary["message"].startswith("The source was removed with the command line. No row had been")
    (event,) = list_events(cli_database, session.workspace_id, session.id)
    assert event.event_type == "session_cancelled"


def test_a_key_that_may_not_read_events_is_good_and_told_what_that_means(
    forked: ForkedCyphera, add_source: AddSource, sandbox: SandboxServer
) -> None:
    restricted = {"rk_test_cli_no_events": frozenset({"event"})}
    account = SandboxAccount(api_key="sk_test_cli_events", account_id="acct_cli_events", restricted_keys=restricted)
    sandbox.state.put_account(account)
    tested = forked("source", "test", add_source("rk_test_cli_no_events"), "stripe").done()
    assert tested.count(" readable") == 5
    assert "rak_event_read" in tested
    assert "Changes cannot be followed, so every sync lists everything." in tested


def test_a_publishable_key_is_refused(forked: ForkedCyphera) -> None:
    forked("workspace", "create", "pk-only").done()
    refused = forked("source", "add", "pk-only", "stripe", "--api-key-stdin", stdin="pk_test_cli_published")
    assert refused.error() == ("This is a publishable key, which may read nothing. Give a secret or restricted key.")


def test_an_organization_s_key_is_refused_by_name_until_it_has_an_account(forked: ForkedCyphera) -> None:
    forked("workspace", "create", "org-key").done()
    add = ("source", "add", "org-key", "stripe", "--api-key-stdin")
    refused = forked(*add, stdin="sk_org_test_cli_organization").error()
    assert "organization's (sk_org_...)" in refused
    assert "connected_account_id" in refused
    odd = forked(*add, "--connected-account", "acme", stdin="sk_test_cli_platform").error()
    assert "is not the id of an account" in odd
    unknown_mode = forked(*add, "--connected-account", "acct_1", stdin="sk_org_cli_organization").error()
    assert "does not tell whether it is for test mode" in unknown_mode
    added = forked(*add, "--connected-account", "acct_1", "--test-mode", "--json", stdin="sk_org_cli_organization")
    assert (added.json()["connected_account_id"], added.json()["is_test_mode"]) == ("acct_1", True)
