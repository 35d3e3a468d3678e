"""`cyphera demo`: what it shows, that it can be run again and forgotten, and what it never touches."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text

from cyphera_pipelines import local
from cyphera_pipelines.cli.demo import DEMO_WORKSPACES
from cyphera_pipelines.cli.running.home_in_use import HomeUse, alone_in
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer, SandboxState, demo_accounts, demo_sites
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.tables import audit_entries, metadata, purges
from cyphera_pipelines.store.workspaces import create_workspace, list_workspaces
from cyphera_pipelines_tests.cli.command import Cyphera, ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import MakeHome
from cyphera_pipelines_tests.truth import ENTITIES, assert_tables_equal_truth

pytestmark = pytest.mark.slow


def test_the_demo_shows_its_tables_finds_them_again_and_forgets_them(make_home: MakeHome) -> None:
    cyphera = make_home()
    first = cyphera("demo")
    report = first.done()
    for number in range(1, 8):
        assert re.search(rf"^{number}\. ", report, re.MULTILINE), f"step {number} is missing"
    state, [site] = SandboxState(demo_sites()), demo_sites()
    sizes = {entity: [account.size_of(entity) for account in demo_accounts()] for entity in ENTITIES}
    for entity, (acme, globex) in sizes.items():
        initech = sum(1 for _ in state.truth(site.site, entity))
        sizes[entity].append(initech)
        assert re.search(rf"payments\.{entity} +{acme:,} +{globex:,} +{initech:,} *$", report, re.MULTILINE)
        assert re.search(rf"^{entity} +{initech:,} +0 +0 +0 +0 +complete", report, re.MULTILINE)
        assert re.search(rf"^{entity} +{acme:,} +0 +0 +0 +0 +complete", report, re.MULTILINE)
    own, in_table = sizes["customers"][1], sum(sizes["customers"])
    assert f"sees {own:,} own rows and 0 of others; the table holds {in_table:,}." in report
    assert re.search(r"^\d{4}-\d\d +usd +\d+ +[\d,]+", report, re.MULTILINE)
    for key in ("demo-acme:stripe", "demo-globex:stripe", "demo-initech:chargebee"):
        assert f"{key}: starting" in first.err

    by_webhook = (
        r"   3 changes at the provider arrived by webhook, in the tables after \d+ ms \(median\), without a sync\."
    )
    assert re.search(by_webhook, report)
    webhooks = cyphera("webhook", "show", DEMO_WORKSPACES[0], "stripe", "--json").json()
    assert (webhooks["secret"], webhooks["entered_address"], webhooks["waiting"]) == (False, None, 0)

    again = cyphera("demo").done()
    assert again.split("\n5. ")[1].split("\nGo on")[0] == report.split("\n5. ")[1].split("\nGo on")[0]
    assert re.search(by_webhook, again)
    for entity in ENTITIES:
        written_nothing = re.findall(rf"^{entity} +0 +0 +[\d,]+ +0 +0 +complete", again, re.MULTILINE)
        assert len(written_nothing) == len(DEMO_WORKSPACES)

    with alone_in(cyphera.home, HomeUse("cyphera up", ports={"Dagster UI": 3000})):
        for command in (("demo", "--forget"), ("db", "stop")):
            assert re.match(
                r"`cyphera up` \(process \d+, since .+, Dagster UI at port 3000\) is at work in ",
                cyphera(*command).error(),
            )
    forgotten = cyphera("demo", "--forget").done()
    assert forgotten.startswith("Deleted the embedded database, its key and Dagster's files under ")
    left = {path.name for path in cyphera.home.iterdir()}
    assert not left & {"postgres", "dagster", "encryption.key"}
    assert cyphera("demo", "--forget").done().startswith("There is nothing of the demo's in ")


@contextmanager
def opened(home: Path) -> Iterator[Database]:
    """The home's database, used by this process no longer than the body."""
    handle = local.start(home)
    database = open_database(Settings(home=home, database_url=SecretStr(handle.url())))
    try:
        yield database
    finally:
        database.close()
        handle.release()


@pytest.fixture
def with_acme(make_home: MakeHome, forked: ForkedCyphera) -> ForkedCyphera:
    """The command with a home in which somebody has a workspace `acme`."""
    made = forked.elsewhere(make_home().home)
    made("workspace", "create", "acme").done()
    return made


AddAccount = Callable[[Cyphera, str], None]


@pytest.fixture
def add_account(sandbox: SandboxServer, account: SandboxAccount) -> AddAccount:
    """Connect a workspace to somebody's account, and sync it."""

    def add(cyphera: Cyphera, slug: str) -> None:
        arguments = ("source", "add", slug, "stripe", "--api-key-stdin", "--base-url", sandbox.url)
        cyphera(*arguments, stdin=account.api_key).done()
        cyphera("sync", slug, "stripe").done()

    return add


def test_nothing_goes_with_the_demo_that_it_did_not_make(
    with_acme: ForkedCyphera, add_account: AddAccount, sandbox: SandboxServer, account: SandboxAccount
) -> None:
    slug = DEMO_WORKSPACES[0]
    with opened(with_acme.home) as database:
        made = create_workspace(database, slug, is_demo=True)
        for workspace in ("acme", slug):
            add_account(with_acme, workspace)
        with_acme("analyst", "add", slug, "jane").done()
        with_acme("key", "create", slug).done()
        assert with_acme("demo", "--forget").error().startswith("Other commands use the database in ")
        assert "cyphera db stop --yes" in with_acme("db", "stop").error()
    assert with_acme("demo", "--forget").done().endswith("Left alone: workspace acme.\n")
    with opened(with_acme.home) as database:
        with database.control() as connection:
            for table in metadata.sorted_tables:
                # Who asked for it stays known.
                if "workspace_id" in table.c and table not in (audit_entries, purges):
                    of_it = select(func.count()).select_from(table).where(table.c.workspace_id == made.id)
                    assert connection.execute(of_it).scalar_one() == 0, table.name
            role = text("SELECT FROM pg_roles WHERE rolname = :role")
            assert connection.execute(role, {"role": f"{slug}_jane"}).first() is None
        assert [workspace.slug for workspace in list_workspaces(database)] == ["acme"]
        assert_tables_equal_truth(database, find_source(database, "acme:stripe"), sandbox.state, account.account_id)


def test_the_demo_leaves_alone_what_has_its_names(with_acme: ForkedCyphera, add_account: AddAccount) -> None:
    one, other = DEMO_WORKSPACES[:2]
    with opened(with_acme.home) as database:
        with_acme("workspace", "create", other).done()
        assert f"There is a workspace {other} that the demo did not make." in with_acme("demo").error()
        assert one not in {workspace.slug for workspace in list_workspaces(database)}
        create_workspace(database, one, is_demo=True)
        add_account(with_acme, one)
        before = with_acme("source", "list", "--json").json()
        assert f"Somebody connected {one}:stripe to another account than the demo's." in with_acme("demo").error()
        assert with_acme("source", "list", "--json").json() == before


def test_the_demo_has_no_business_in_a_database_of_one_s_own(make_home: MakeHome) -> None:
    cyphera = make_home()
    url = "postgresql://somebody@127.0.0.1:9/production"
    for command in (("demo",), ("demo", "--forget")):
        line = cyphera(*command, CYPHERA_DATABASE_URL=url).error()
        assert "the demo neither writes to it nor deletes from it" in line
