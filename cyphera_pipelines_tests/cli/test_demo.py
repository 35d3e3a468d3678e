"""`cyphera demo`: what it shows, that it can be run again, and that it can be forgotten."""

import re

from cyphera_pipelines.cli.demo import DEMO_WORKSPACES
from cyphera_pipelines.sandbox import demo_accounts
from cyphera_pipelines_tests.cli.conftest import MakeHome
from cyphera_pipelines_tests.truth import ENTITIES


def test_the_demo_shows_its_tables_finds_them_again_and_forgets_them(make_home: MakeHome) -> None:
    cyphera = make_home()
    first = cyphera("demo")
    report = first.done()
    for number in range(1, 7):
        assert re.search(rf"^{number}\. ", report, re.MULTILINE), f"step {number} is missing"
    sizes = {entity: [account.size_of(entity) for account in demo_accounts()] for entity in ENTITIES}
    for entity, (acme, globex) in sizes.items():
        assert re.search(rf"payments\.{entity} +{acme:,} +{globex:,} *$", report, re.MULTILINE)
        assert re.search(rf"^{entity} +{acme:,} +0 +0 +0 +0 +complete", report, re.MULTILINE)
    own, in_table = sizes["customers"][1], sum(sizes["customers"])
    assert f"sees {own:,} own rows and 0 of others; the table holds {in_table:,}." in report
    assert re.search(r"^\d{4}-\d\d +usd +\d+ +[\d,]+", report, re.MULTILINE)
    for slug in DEMO_WORKSPACES:
        assert f"{slug}:stripe: starting" in first.err

    again = cyphera("demo").done()
    assert again.split("\n4. ")[1] == report.split("\n4. ")[1]
    for entity in ENTITIES:
        written_nothing = re.findall(rf"^{entity} +0 +0 +[\d,]+ +0 +0 +complete", again, re.MULTILINE)
        assert len(written_nothing) == len(DEMO_WORKSPACES)

    forgotten = cyphera("demo", "--forget").done()
    assert forgotten.startswith("Deleted the embedded database, its key and Dagster's files under ")
    left = {path.name for path in cyphera.home.iterdir()}
    assert not left & {"postgres", "dagster", "encryption.key"}


def test_the_demo_does_not_delete_from_a_database_of_one_s_own(make_home: MakeHome) -> None:
    cyphera = make_home()
    url = "postgresql://somebody@127.0.0.1:9/production"
    line = cyphera("demo", "--forget", CYPHERA_DATABASE_URL=url).error()
    assert "the demo does not delete from it" in line
