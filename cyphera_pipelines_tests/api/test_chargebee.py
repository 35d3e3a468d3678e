"""A Chargebee site from its configuration to its rows: over the API, with the engine, and by webhooks as they come."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import ChargebeeSite, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.api.conftest import Client, MakeClient, RunningApi, fields
from cyphera_pipelines_tests.truth import live_rows, read_live_rows

SITE = ChargebeeSite(
    site="api-test",
    api_key="test_key_of_api_site",
    name="API",
    seed=31,
    customers=60,
    products=8,
    prices=24,
    subscriptions=40,
    invoices=120,
    in_decimal=True,
    offset_length=1_000,
)
SECRET = "chargebee:a long password"
ENTITIES = ("customers", "products", "prices", "subscriptions", "invoices")

Sync = Callable[..., SyncOutcome]


@pytest.fixture
def site() -> Iterator[SandboxServer]:
    with SandboxServer([SITE]) as server:
        yield server


@pytest.fixture
def sync(database: Database, keyring: Keyring) -> Sync:
    def run(source: Source, **about: Any) -> SyncOutcome:
        request = SyncRequest(**about)
        return run_sync(SyncJob(database, keyring, source, open_session(database, source, request), request))

    return run


def configure(client: Client, url: str, **options: str) -> Any:
    configuration = {"api_key": SITE.api_key, "base_url": url, "webhook_secret": SECRET, "options": options}
    return client.post("/config", json={"provider_name": "chargebee", "configuration": configuration})


def connect(client: Client, database: Database, url: str, **options: str) -> Source:
    made = configure(client, url, site=SITE.site, **options)
    assert made.status_code == 201, made.text
    return find_source(database, f"{client.workspace.slug}:chargebee")


def send(api: RunningApi, source: Source, event: Any, secret: str = SECRET) -> Any:
    headers = {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}
    path = f"/api/v1/sync/webhooks/chargebee/{source.configuration_id}"
    return api.ask("POST", path, content=json.dumps(event), headers=headers)


def newest_event(site: SandboxServer) -> dict[str, Any]:
    return dict(next(iter(site.state.truth(SITE.site, "events"))))


def assert_all_is_there(database: Database, source: Source, site: SandboxServer) -> None:
    """The tables hold the ids that the site has, and no others; and each subscription's status in its own word."""
    for name in ENTITIES:
        there = {obj["id"]: obj for obj in site.state.truth(SITE.site, name)}
        rows = live_rows(database, source, name)
        assert rows.keys() == there.keys(), name
        if name in ("subscriptions", "invoices"):
            assert {key: row["provider_status"] for key, row in rows.items()} == {
                key: obj["status"] for key, obj in there.items()
            }


def test_a_site_has_to_be_named_and_options_have_to_be_known(client: Client, site: SandboxServer) -> None:
    for options, field in (
        ({}, "configuration.options.site"),
        ({"site": "Not A Site"}, "configuration.options.site"),
        ({"site": SITE.site, "colour": "red"}, "configuration.options.colour"),
        ({"site": SITE.site, "webhook_read_back": "perhaps"}, "configuration.options.webhook_read_back"),
    ):
        refused = configure(client, site.url, **options)
        assert fields(refused) == [field]
    without = {"api_key": SITE.api_key, "options": {"site": SITE.site}, "webhook_secret": "no-password"}
    refused = client.post("/config", json={"provider_name": "chargebee", "configuration": without})
    assert fields(refused) == ["configuration.webhook_secret"]
    assert configure(client, site.url, site=SITE.site).status_code == 201
    shown = client.get("/config/chargebee").json()
    assert shown["is_test_mode"] is True
    assert SITE.api_key not in json.dumps(shown)


def test_a_test_tells_of_another_catalog(client: Client, database: Database, site: SandboxServer) -> None:
    source = connect(client, database, site.url)
    tested = client.post(f"/config/{source.configuration_id}/test").json()
    assert tested["success"] is True
    site.state.put_account(SITE.model_copy(update={"catalog": "v1"}))
    tested = client.post(f"/config/{source.configuration_id}/test").json()
    assert tested["success"] is False
    assert "Product Catalog 1.0" in json.dumps(tested)


def test_all_is_listed_and_what_changes_follows(
    client: Client, database: Database, site: SandboxServer, sync: Sync
) -> None:
    source = connect(client, database, site.url)
    assert sync(source).status is SessionStatus.COMPLETED
    assert_all_is_there(database, source, site)
    each = dict.fromkeys(ENTITIES, 3)
    site.state.apply_changes(SITE.site, create=each, update=each, delete=each)
    assert sync(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_all_is_there(database, source, site)
    gone = next(iter(site.state.truth(SITE.site, "products")))["id"]
    site.state.delete(SITE.site, gone)
    assert sync(source, full_sync=True).status is SessionStatus.COMPLETED
    assert_all_is_there(database, source, site)


def test_with_another_catalog_nothing_is_listed_and_nothing_lost(
    client: Client, database: Database, site: SandboxServer, sync: Sync
) -> None:
    source = connect(client, database, site.url)
    sync(source)
    before = {name: live_rows(database, source, name).keys() for name in ENTITIES}
    site.state.put_account(SITE.model_copy(update={"catalog": "v1"}))
    assert sync(source, full_sync=True).status is SessionStatus.FAILED
    assert {name: live_rows(database, source, name).keys() for name in ENTITIES} == before


def test_a_webhook_is_in_the_tables_when_it_is_answered(
    api: RunningApi, client: Client, database: Database, site: SandboxServer, sync: Sync
) -> None:
    source = connect(client, database, site.url)
    sync(source)
    customer = next(iter(site.state.truth(SITE.site, "customers")))["id"]
    site.state.patch(SITE.site, customer, {"company": "Renamed", "first_name": None, "last_name": None})
    event = newest_event(site)
    assert send(api, source, event, "chargebee:another password").status_code == 403
    assert send(api, source, event).json()["status"] == "applied"
    assert live_rows(database, source, "customers")[customer]["name"] == "Renamed"
    assert send(api, source, event).json()["status"] == "known"
    site.state.apply_changes(SITE.site, update={"subscriptions": 1})
    told = newest_event(site)
    assert len(told["content"]) > 1
    assert send(api, source, told).json()["status"] in ("applied", "kept")
    sync(source, only_changes=True)
    assert_all_is_there(database, source, site)


def test_a_webhook_brings_payments_at_once_and_waits_where_a_coupon_has_to_be_read(
    api: RunningApi, client: Client, database: Database, site: SandboxServer, sync: Sync
) -> None:
    source = connect(client, database, site.url)
    sync(source)
    invoice = next(
        each
        for each in site.state.truth(SITE.site, "invoices")
        if "linked_payments" in each and "subscription_id" not in each
    )
    (paid,) = invoice["linked_payments"]
    site.state.patch(SITE.site, invoice["id"], {"linked_payments": [paid, {**paid, "txn_id": "txn_later"}]})
    assert send(api, source, newest_event(site)).json()["status"] == "applied"
    rows = [
        row["id"] for row in read_live_rows(database, source, "invoice_payments") if row["invoice_id"] == invoice["id"]
    ]
    assert sorted(rows) == sorted([paid["txn_id"], "txn_later"])
    subscription = next(iter(site.state.truth(SITE.site, "subscriptions")))["id"]
    site.state.patch(SITE.site, subscription, {"coupons": [{"coupon_id": "OFF20", "object": "coupon"}]})
    assert send(api, source, newest_event(site)).json()["status"] == "kept"
    sync(source, only_changes=True)
    found = read_live_rows(database, source, "subscription_discounts")
    assert [(row["coupon_id"], row["percent_off"]) for row in found if row["subscription_id"] == subscription] == [
        ("OFF20", 20)
    ]


def test_a_webhook_that_has_to_be_read_back_counts_only_then(
    api: RunningApi, client: Client, database: Database, site: SandboxServer, sync: Sync
) -> None:
    source = connect(client, database, site.url, webhook_read_back="yes")
    sync(source)
    customer = next(iter(site.state.truth(SITE.site, "customers")))
    version = customer["resource_version"] + 1
    forged = {
        "id": "ev_forged",
        "event_type": "customer_changed",
        "api_version": "v2",
        "occurred_at": version // 1000,
        "content": {"customer": {**customer, "company": "Forged", "resource_version": version}},
    }
    assert send(api, source, forged).json()["status"] == "kept"
    site.state.patch(SITE.site, customer["id"], {"phone": "+49301234"})
    assert send(api, source, newest_event(site)).json()["status"] == "kept"
    sync(source, only_changes=True)
    row = live_rows(database, source, "customers")[customer["id"]]
    assert (row["phone"], row["raw"].get("company")) == ("+49301234", customer.get("company"))


def test_what_is_written_is_in_the_tables(
    api: RunningApi, make_client: MakeClient, database: Database, site: SandboxServer, sync: Sync
) -> None:
    client = make_client(level=KeyLevel.WRITE)
    source = connect(client, database, site.url)
    sync(source)
    headers = {"X-API-Key": client.key, "X-Workspace-ID": str(client.workspace.id), "Idempotency-Key": "ada-1"}
    request = {"name": "Ada Lovelace", "email": "ada@example.com"}
    made = [api.ask("POST", "/api/v1/chargebee/customers", json=request, headers=headers) for _twice in range(2)]
    assert [answer.status_code for answer in made] in ([201, 201], [201, 200]), made[0].text
    row = live_rows(database, source, "customers")
    (ada,) = [key for key, value in row.items() if value["email"] == "ada@example.com"]
    assert row[ada]["name"] == "Ada Lovelace"
    sync(source, only_changes=True)
    assert_all_is_there(database, source, site)
