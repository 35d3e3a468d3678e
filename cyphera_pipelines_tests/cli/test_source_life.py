"""A source and its workspace after the first day: changed, shown, paused, watched, cancelled, renamed, deleted."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from cyphera_pipelines.cli.output import short_id
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import finish_session, get_session, start_session
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.cli.command import ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource

WEBHOOK_SECRET = "whsec_of_a_source_life"


def audit(forked: ForkedCyphera, slug: str) -> list[str]:
    return [entry["action"] for entry in forked("audit", slug, "--json").json()]


def test_a_source_is_changed_and_shown(
    forked: ForkedCyphera, add_source: AddSource, account: SandboxAccount, sandbox: SandboxServer
) -> None:
    slug = add_source()
    update = ("source", "update", slug, "stripe")
    assert "Nothing to change" in forked(*update).error()
    changed = forked(
        *update, "--webhook-secret-env", "HOOK", "--rate", "50", "--label", "Acme Europe", HOOK=WEBHOOK_SECRET
    )
    assert f"Changed source {slug}:stripe." in changed.done()
    shown: dict[str, Any] = forked("source", "show", slug, "stripe", "--json").json()
    assert shown["label"] == "Acme Europe"
    assert shown["key"] == f"...{account.api_key[-4:]}"
    assert shown["webhook_secret"] is True
    assert shown["requests_per_second"] == 50
    assert shown["base_url"] == sandbox.url
    assert shown["webhook_path"] == f"/api/v1/sync/webhooks/stripe/{shown['id']}"
    assert shown["account"] is None, "nobody has asked yet"
    sandbox.state.put_account(SandboxAccount(api_key="sk_test_life_of_another", account_id="acct_life", customers=3))
    forked(*update, "--api-key-stdin", "--rate", "0", "--label", "", stdin="sk_test_life_of_another\n").done()
    assert "is a live mode key" in forked(*update, "--api-key-stdin", stdin="sk_live_life_of_another\n").error()
    assert forked("sync", slug, "stripe").code == 0
    again = forked("source", "show", slug, "stripe")
    shown = forked("source", "show", slug, "stripe", "--json").json()
    assert (shown["account"], shown["key"], shown["label"]) == ("acct_life", "...ther", None)
    assert (shown["requests_per_second"], shown["last_session"], shown["webhook_secret"]) == (None, "completed", True)
    assert "acct_life" in again.done()
    assert WEBHOOK_SECRET not in json.dumps(shown) + again.out
    (refused,) = (each for each in forked("audit", slug, "--json").json() if each["outcome"] == "refused")
    assert (refused["action"], refused["actor"].partition(":")[0]) == ("configuration.changed", "cli")


def test_no_sync_of_a_paused_source_starts(
    forked: ForkedCyphera, add_source: AddSource, cli_database: Database
) -> None:
    slug = add_source()
    source = find_source(cli_database, f"{slug}:stripe")
    running, waiting = (open_session(cli_database, source, SyncRequest()) for _ in range(2))
    assert start_session(cli_database, running, "a-run")
    paused = forked("source", "pause", slug, "stripe", "--reason", "moving house").done()
    assert f"Cancelled its session {short_id(waiting.id)}." in paused
    assert f"Its session {short_id(running.id)} goes on." in paused
    refused = forked("sync", slug, "stripe").error()
    assert refused.startswith(f"{source.key} is paused since 20")
    assert "(moving house): no sync of it starts" in refused
    assert refused.endswith(f"An operator resumes it with: cyphera source resume {slug} stripe")
    assert f"{source.key} test never paused" in " ".join(forked("source", "list").done().split())
    again = forked("source", "pause", slug, "stripe", "--cancel").done()
    assert "(moving house)" in again, "it is paused since then, and as it was"
    assert f"Cancelled its session {short_id(running.id)}." in again
    assert "paused since" in forked("source", "show", slug, "stripe").done()
    assert f"Resumed {source.key}" in forked("source", "resume", slug, "stripe").done()
    assert "was not paused" in forked("source", "resume", slug, "stripe").done()
    assert forked("sync", slug, "stripe", "--entities", "products").code == 0
    assert audit(forked, slug)[:2] == ["source.resumed", "source.paused"]


@pytest.mark.parametrize(("status", "code"), [(SessionStatus.COMPLETED, 0), (SessionStatus.PARTIAL, 2)])
def test_a_session_is_watched_from_another_terminal(
    status: SessionStatus, code: int, forked: ForkedCyphera, add_source: AddSource, cli_database: Database
) -> None:
    source = find_source(cli_database, f"{add_source()}:stripe")
    session = open_session(cli_database, source, SyncRequest())
    start_session(cli_database, session, None)
    finish_session(cli_database, session, status)
    watched = forked("session", "watch", str(session.id)[:13])
    assert watched.code == code
    assert f"Session {short_id(session.id)} {status.value}" in watched.out


def test_a_session_is_cancelled_by_the_beginning_of_its_id(
    forked: ForkedCyphera, add_source: AddSource, cli_database: Database
) -> None:
    source = find_source(cli_database, f"{add_source()}:stripe")
    session = open_session(cli_database, source, SyncRequest())
    told = forked("session", "cancel", str(session.id)[:13]).done()
    assert told.startswith(f"Session {short_id(session.id)} is cancelled. Cancelled with the command line.")
    assert get_session(cli_database, session.workspace_id, session.id).status is SessionStatus.CANCELLED
    assert forked("session", "watch", str(session.id)).code == 1
    finished = open_session(cli_database, source, SyncRequest())
    finish_session(cli_database, finished, SessionStatus.COMPLETED)
    assert "is completed already" in forked("session", "cancel", str(finished.id)).error()


def test_a_workspace_is_renamed_and_deleted(
    forked: ForkedCyphera, add_source: AddSource, cli_database: Database
) -> None:
    slug = add_source()
    assert "is called Acme & Sons now" in forked("workspace", "rename", slug, "Acme & Sons").done()
    session = open_session(cli_database, find_source(cli_database, f"{slug}:stripe"), SyncRequest())
    forked("key", "create", slug).done()
    analyst = forked("analyst", "add", slug, "jane", "--json").json()["role_name"]
    assert f"Confirm it with: --confirm {slug}" in forked("workspace", "delete", slug).error()
    assert "nothing was changed" in forked("workspace", "delete", slug, "--confirm", "acme").error()
    told = forked("workspace", "delete", slug, "--confirm", slug).done()
    assert f"Cancelled session {short_id(session.id)} of {slug}:stripe." in told
    assert slug not in forked("workspace", "list").done()
    assert f"{slug}:stripe" not in forked("source", "list").done()
    assert str(session.id) in forked("sessions", "--limit", "1000", "--json").out
    assert f"Workspace '{slug}' was deleted on" in forked("source", "show", slug, "stripe").error()
    assert f"Workspace '{slug}' was deleted on" in forked("key", "create", slug).error()
    assert "keeps its slug until it is purged" in forked("workspace", "create", slug).error()
    with cli_database.control() as connection:
        roles = connection.exec_driver_sql("SELECT rolname FROM pg_roles").scalars().all()
    assert analyst not in roles
    assert {"workspace.renamed", "workspace.deleted", "key.revoked", "configuration.removed", "analyst.removed"} < {
        *audit(forked, slug)
    }
    purged = forked("workspace", "delete", slug, "--purge", "--confirm", slug).done()
    assert purged.startswith(f"Purged workspace {slug}: ")
    forked("workspace", "create", slug).done()
    assert audit(forked, slug) == ["workspace.created"], "it is another one"
    forked("workspace", "delete", slug, "--purge", "--confirm", slug).done()
    assert f"There is no workspace '{slug}'" in forked("sessions", slug).error()
    assert audit(forked, slug)[0] == "workspace.purged", "of the last of that name"


def test_a_source_whose_provider_is_not_installed_any_more_is_purged(
    forked: ForkedCyphera, add_source: AddSource, cli_database: Database
) -> None:
    slug = add_source()
    with cli_database.control() as connection:
        for table in ("workspace_payment_configurations", "source_schedules"):
            connection.execute(
                text(
                    f"UPDATE sync.{table} SET provider_name = 'gonepay' "
                    "WHERE workspace_id = (SELECT id FROM sync.workspaces WHERE slug = :slug)"
                ),
                {"slug": slug},
            )
    assert f"{slug}:gonepay" in forked("source", "list").done()
    refused = forked("source", "remove", slug, "gone", "--purge", "--confirm", slug).error()
    assert "'gone'" in refused, "a slip is told"
    told = forked("source", "remove", slug, "gonepay", "--purge", "--confirm", slug).done()
    assert told.startswith(f"Purged source {slug}:gonepay: ")
    assert slug not in forked("source", "list").done()
