"""`cyphera write`, `cyphera provider` and the levels of `cyphera key`."""

from sqlalchemy import text

from cyphera_pipelines.model.writes import WriteState
from cyphera_pipelines.operations.asked import Asked
from cyphera_pipelines.operations.carrying_out import carry_out
from cyphera_pipelines.providers.base import CustomerRequest, ObjectKind, Operation
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.cli.command import Cyphera, ForkedCyphera


def test_keys_have_levels_and_an_end(forked: ForkedCyphera) -> None:
    forked("workspace", "create", "keyed").done()
    made = {
        option: forked("key", "create", "keyed", *option.split(), "--json").json()
        for option in ("", "--read-only", "--write", "--admin", "--write --expires 90d")
    }
    assert [each["level"] for each in made.values()] == ["sync", "read", "write", "admin", "write"]
    assert [each["expires_at"] is None for each in made.values()] == [True, True, True, True, False]
    listed = forked("key", "list", "keyed").done()
    assert "LEVEL" in listed
    assert "never" in listed
    assert "admin" in listed
    assert "one of" in forked("key", "create", "keyed", "--write", "--admin").error()
    assert "length of time" in forked("key", "create", "keyed", "--expires", "soon").error()
    assert "90d" in forked("key", "create", "keyed", "--expires", "0m").error()


def test_providers_and_what_they_can_do(forked: ForkedCyphera) -> None:
    listed = {each["name"]: each for each in forked("provider", "list", "--json").json()}
    assert "create" in listed["stripe"]["operations"]["customers"]
    assert "email" in listed["stripe"]["filters"]["customers"]
    shown = forked("provider", "list").done()
    assert "refunds" in shown
    assert forked("provider", "list", "--markdown").done().startswith("| |")


def test_writes_are_listed_shown_and_settled(
    cyphera: Cyphera, forked: ForkedCyphera, cli_database: Database, sandbox: SandboxServer, account: SandboxAccount
) -> None:
    forked("workspace", "create", "writing").done()
    assert "Nothing was written" in forked("write", "list", "writing").done()
    added = ("source", "add", "writing", "stripe", "--base-url", sandbox.url, "--api-key-stdin")
    forked(*added, stdin=account.api_key).done()
    source, keyring = find_source(cli_database, "writing:stripe"), load_keyring(Settings(home=cyphera.home))
    asked = Asked(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(name="Acme"))
    write = carry_out(cli_database, keyring, source, asked, "order-7").write
    assert write.state is WriteState.DONE
    (listed,) = forked("write", "list", "writing", "--json").json()
    assert (listed["id"], listed["state"], listed["idempotency_key"]) == (str(write.id), "done", "order-7")
    assert "create customers" in forked("write", "list", "writing", "--state", "done").done()
    shown = forked("write", "show", str(write.id)[:8]).done()
    assert "order-7" in shown
    assert str(write.object_id) in shown
    assert "There is no write" in forked("write", "show", "ffffffff").error()
    assert "0 writes settled" in forked("write", "settle", "--workspace", "writing").done()
    with cli_database.control() as connection:
        # As if it had been sent, and its process had been killed before the answer came.
        lost = text("UPDATE sync.provider_writes SET state = 'sent', settled_at = NULL, answer = NULL WHERE id = :id")
        connection.execute(lost, {"id": write.id})
    outcome = forked("write", "settle", str(write.id))
    assert outcome.code == 1, "what it was to send was forgotten with its settlement, so nobody can look for it"
    assert "not known any more" in outcome.err
    audit = forked("audit", "writing").done()
    assert "object.written" in audit
