from collections.abc import Callable

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.cli.command import ForkedCyphera


def test_a_login_of_two_workspaces_from_its_making_to_its_end(
    forked: ForkedCyphera, add_source: Callable[..., str], cli_database: Database
) -> None:
    first, second, third = add_source(), add_source(), add_source()
    made = forked("analyst", "create", "viewer", "--workspaces", f"{first}, {second}", "--json").json()
    assert (made["role_name"], made["statements"]) == ("viewer", [])
    assert "on the server already" in forked("analyst", "create", "viewer", "--workspaces", first).error()
    assert "There is no workspace 'nowhere'" in forked("analyst", "create", "other", "--workspaces", "nowhere").error()
    (listed,) = forked("analyst", "list", second, "--json").json()
    assert listed["workspaces"] == sorted([first, second])
    assert "no longer" in forked("analyst", "revoke", "viewer", "--workspaces", first).done()
    assert "from its next statement on" in forked("analyst", "grant", "viewer", "--workspaces", third).done()
    assert forked("analyst", "list", first, "--json").json() == []
    password = forked("analyst", "rotate", "viewer", "--json").json()["password"]
    assert password != made["password"]
    engine = create_engine(cli_database.engine.url.set(username="viewer", password=password), poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM payments.customers").scalar_one() == 0
    shown = forked("analyst", "list").done()
    assert "viewer" in shown
    assert password not in shown
    assert forked("analyst", "drop", "viewer").done() == "Dropped viewer.\n"
    assert "There is no analyst 'viewer'" in forked("analyst", "remove", "viewer").error()
